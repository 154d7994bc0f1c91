#include "profiler/samples.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace shardlab {

Measured summarize(Samples samples) {
  if (samples.empty()) return {};
  std::ranges::sort(samples);
  const std::size_t last = samples.size() - 1;
  const auto quantile = [&](std::size_t quarters) { return samples[(last * quarters + 2) / 4]; };
  return {quantile(2), quantile(3) - quantile(1), static_cast<std::int64_t>(samples.size()),
          std::nullopt};
}

LayerTimes summarize(const LayerSamples& samples) {
  return {summarize(samples.forward), summarize(samples.recompute), summarize(samples.backward),
          summarize(samples.step)};
}

void append(LayerSamples& to, const LayerSamples& from) {
  const auto add = [](Samples& all, const Samples& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  for (const Phase phase : kPhases) add(of(to, phase), of(from, phase));
}

}  // namespace shardlab
