#include "profiler/median_interval.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/quantile.h"

namespace shardlab {

std::optional<std::size_t> median_rank(std::size_t samples) {
  constexpr double kOutside = 0.05;
  const auto n = static_cast<double>(samples);
  std::optional<std::size_t> found;
  double below = 0;  // P(B <= rank), as a sum of binomial terms by their logarithms.
  for (std::size_t rank = 0; 2 * rank + 1 < samples; ++rank) {
    const auto k = static_cast<double>(rank);
    below += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) -
                      n * std::log(2));
    if (2 * below > kOutside) break;
    found = rank;
  }
  return found;
}

std::optional<Duration> median_half_width(Samples samples) {
  const auto rank = median_rank(samples.size());
  if (!rank) return std::nullopt;
  std::ranges::sort(samples);
  return (samples[samples.size() - 1 - *rank] - samples[*rank]) / 2;
}

std::optional<double> median_interval(const std::vector<LayerSamples>& layers) {
  Duration half_widths{}, medians{};
  for (const LayerSamples& layer : layers) {
    for (const Phase phase : kPhases) {
      const auto half_width = median_half_width(of(layer, phase));
      if (!half_width) return std::nullopt;
      half_widths += *half_width;
      medians += median(of(layer, phase));
    }
  }
  if (medians <= Duration{}) return std::nullopt;
  return seconds(half_widths) / seconds(medians);
}

std::string interval_text(double interval) {
  return fmt::format("medians within {:.1f} %", 100 * interval);
}

}  // namespace shardlab
