#pragma once

#include <cstddef>
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
    if (around.by_layer) {
      device.let_run_ahead();
      unit_.emplace(device);
    }
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

  /// The whole unit, by marks of its own around all of it.
  Duration finish() {
    Stopwatch& whole = around_.by_layer ? *unit_ : *watch_;
    whole.mark();
    const Duration unit = whole.laps().front();
    const std::vector<Duration> laps = watch_->laps();
    // What is copied beside a unit goes no further than it.
    device_.synchronize(TorchDevice::Queue::kPromote);
    device_.synchronize(TorchDevice::Queue::kDemote);
    for (std::size_t i = 0; i < into_.size(); ++i) into_[i]->push_back(laps[i]);
    return unit;
  }

 private:
  const TorchDevice& device_;
  const Surroundings& around_;
  std::optional<Stopwatch> unit_, watch_;
  std::vector<Samples*> into_;
};

}  // namespace shardlab
