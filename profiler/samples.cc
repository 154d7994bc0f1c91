#include "profiler/samples.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "core/quantile.h"

namespace shardlab {

Measured summarize(Samples samples) {
  if (samples.empty()) return {};
  std::ranges::sort(samples);
  const Duration first = quantile(samples, 0.25), third = quantile(samples, 0.75);
  const Duration spread = third - first;
  const auto outliers = std::ranges::count_if(samples, [&](Duration each) {
    return each < first - 3 * spread || each > third + 3 * spread;
  });
  return {quantile(samples, 0.5), spread, static_cast<std::int64_t>(samples.size()), std::nullopt,
          outliers};
}

LayerTimes summarize(const LayerSamples& samples) {
  return {summarize(samples.forward), summarize(samples.recompute), summarize(samples.backward),
          summarize(samples.step)};
}

std::vector<LayerTimes> summarize(const std::vector<LayerSamples>& layers) {
  std::vector<LayerTimes> times;
  for (const LayerSamples& each : layers) times.push_back(summarize(each));
  return times;
}

std::vector<LayerTimes> summarize(const std::vector<LayerSamples>& layers, Samples minibatches) {
  std::vector<LayerTimes> times = summarize(layers);
  Duration sum{};
  for (const LayerTimes& each : times) sum += total(each);
  if (sum == Duration{}) return times;
  const double factor = seconds(summarize(std::move(minibatches)).median) / seconds(sum);
  for (LayerTimes& layer : times) {
    for (const Phase phase : kPhases) {
      Duration& median = of(layer, phase).median;
      median = Duration{std::llround(static_cast<double>(median.count()) * factor)};
    }
  }
  return times;
}

void append(LayerSamples& to, const LayerSamples& from) {
  const auto add = [](Samples& all, const Samples& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  for (const Phase phase : kPhases) add(of(to, phase), of(from, phase));
}

}  // namespace shardlab
