#include "profiler/samples.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace shardlab {

Samples& LayerSamples::of(Phase phase) {
  switch (phase) {
    case Phase::kForward:
      return forward;
    case Phase::kRecompute:
      return recompute;
    case Phase::kBackward:
      return backward;
    case Phase::kStep:
      break;
  }
  return step;
}

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
  add(to.forward, from.forward);
  add(to.recompute, from.recompute);
  add(to.backward, from.backward);
  add(to.step, from.step);
}

}  // namespace shardlab
