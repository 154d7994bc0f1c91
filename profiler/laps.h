#pragma once

#include <cstddef>
#include <numeric>
#include <optional>
#include <vector>

#include "models/torch_device.h"
#include "profiler/samples.h"
#include "profiler/surroundings.h"

namespace shardlab {

/// Laps of one unit, which go to samples once the device has done it all.
class Laps {
 public:
  /// Layers are timed as their neighbours in a shard run: with the host ahead of an accelerator.
  /// The time until it is, which a unit that starts on an idle one takes besides, is in whole units
  /// only.
  Laps(const TorchDevice& device, const Surroundings& around) : device_(device), around_(around) {
    if (around.by_layer) device.let_run_ahead();
    watch_.emplace(device);
  }

  template <typename Body>
  void lap(std::size_t layer, Phase phase, std::vector<LayerSamples>& samples, const Body& body) {
    around_.enter_layer(layer, phase);
    body();
    around_.leave_layer();
    if (!around_.by_layer) return;
    watch_->mark();
    into_.push_back(&of(samples[layer], phase));
  }

  /// The whole unit.
  Duration finish() {
    if (!around_.by_layer) watch_->mark();
    const std::vector<Duration> laps = watch_->laps();
    // What is copied beside a unit goes no further than it.
    device_.synchronize(TorchDevice::Queue::kPromote);
    device_.synchronize(TorchDevice::Queue::kDemote);
    for (std::size_t i = 0; i < into_.size(); ++i) into_[i]->push_back(laps[i]);
    return std::accumulate(laps.begin(), laps.end(), Duration{});
  }

 private:
  const TorchDevice& device_;
  const Surroundings& around_;
  std::optional<Stopwatch> watch_;
  std::vector<Samples*> into_;
};

}  // namespace shardlab
