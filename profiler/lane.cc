#include "profiler/lane.h"

#include <algorithm>
#include <cstddef>

#include <c10/util/Exception.h>

#include "core/error.h"
#include "profiler/hand_over.h"
#include "profiler/unit_overhead.h"

namespace shardlab {

namespace {

template <typename Sample>
void add(std::vector<Sample>& to, const std::vector<Sample>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

/// A minibatch of which only units are timed.
Duration run_whole(ModelBench& bench, const Surroundings& around) {
  Surroundings by_unit = around;
  by_unit.by_layer = false;
  std::vector<LayerSamples> none;
  return bench.run(by_unit, none);
}

/// Says what to do where an accelerator has no room for it.
template <typename Body>
auto within_memory(const BenchKey& key, const Body& body) {
  try {
    return in_context(describe(key.model), body);
  } catch (const c10::OutOfMemoryError&) {
    throw Error(describe(key.model) +
                ": no room on the accelerator to measure it: its weights lie there a shard at a "
                "time, of half the device's `memory` in the cluster file, beside the activations "
                "of a whole minibatch; give less memory there, or take a smaller batch");
  }
}

}  // namespace

void append(LaneSamples& to, const LaneSamples& from) {
  to.models.resize(std::max(to.models.size(), from.models.size()));
  for (std::size_t m = 0; m < from.models.size(); ++m) {
    auto& layers = to.models[m];
    layers.resize(std::max(layers.size(), from.models[m].size()));
    for (std::size_t i = 0; i < from.models[m].size(); ++i) append(layers[i], from.models[m][i]);
  }
  for (auto LaneSamples::*samples : {&LaneSamples::whole, &LaneSamples::around}) {
    auto& all = to.*samples;
    const auto& more = from.*samples;
    all.resize(std::max(all.size(), more.size()));
    for (std::size_t m = 0; m < more.size(); ++m) add(all[m], more[m]);
  }
  add(to.copies, from.copies);
  add(to.copies_back, from.copies_back);
  add(to.overhead, from.overhead);
  add(to.ramp, from.ramp);
  add(to.hand_over, from.hand_over);
}

Lane::Lane(const std::vector<BenchKey>& keys, const DeviceSpec& device)
    : keys_(keys),
      device_(device),
      // Beside the weights of a shard there is room for twice that.
      largest_copy_(device_.is_cpu() ? 0 : device.memory / 8),
      runs_alone_(keys.size()) {}

void Lane::enter() {
  device_.enter(TorchDevice::Queue::kCompute);
  if (!models_.empty()) return;
  device_.warm_up();
  device_.let_run_ahead();  // Sizes its work while nothing else runs.
  WeightSpace* space = device_.is_cpu() ? nullptr : &weights_;
  for (const BenchKey& key : keys_) {
    models_.push_back(within_memory(key, [&] {
      return std::make_unique<ModelBench>(device_, key.model, key.batch, key.optimizer, key.shard,
                                          space);
    }));
  }
  copies_ = std::make_unique<CopyBench>(device_, /*pinned=*/true, largest_copy_);
}

std::vector<LayerCost> Lane::measure_bytes(std::size_t model) {
  return within_memory(keys_[model], [&] { return models_[model]->measure_bytes(); });
}

void Lane::run(std::size_t model, const Surroundings& around, LaneSamples& samples) {
  constexpr int kSmall = 10;  // Samples of microseconds per round.
  constexpr int kRunsPerWhole = 4;
  samples.models.resize(keys_.size());
  samples.whole.resize(keys_.size());
  samples.around.resize(keys_.size());
  ModelBench& bench = *models_[model];
  const Duration layers =
      within_memory(keys_[model], [&] { return bench.run(around, samples.models[model]); });
  samples.around[model].push_back(layers);
  if (!device_.is_cpu()) {
    const Duration whole = run_whole(bench, around);
    samples.whole[model].push_back(whole);
    const auto units = static_cast<Duration::rep>(bench.units());
    samples.ramp.push_back(std::max((whole - layers) / units, Duration{}));
  } else if (!around.promotes && runs_alone_[model]++ % kRunsPerWhole == 1) {
    samples.whole[model].push_back(run_whole(bench, around));
  }
  around.begin();
  copies_->to_device(samples.copies);
  copies_->to_host(samples.copies_back);
  for (int i = 0; i < kSmall; ++i) samples.overhead.push_back(time_unit_overhead(device_));
  time_hand_over(kSmall, samples.hand_over);
  around.end();
}

}  // namespace shardlab
