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

void add_each(std::vector<Samples>& to, const std::vector<Samples>& from) {
  to.resize(std::max(to.size(), from.size()));
  for (std::size_t m = 0; m < from.size(); ++m) add(to[m], from[m]);
}

/// What was added to all of them last.
Duration last_of(const std::vector<LayerSamples>& layers) {
  Duration sum{};
  for (const LayerSamples& layer : layers) {
    for (const Phase phase : kPhases) sum += of(layer, phase).back();
  }
  return sum;
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
  add_each(to.whole, from.whole);
  add_each(to.around, from.around);
  add_each(to.minibatches, from.minibatches);
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
      largest_copy_(device_.is_cpu() ? 0 : device.memory / 8) {}

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
  samples.models.resize(keys_.size());
  samples.around.resize(keys_.size());
  samples.minibatches.resize(keys_.size());
  ModelBench& bench = *models_[model];
  std::vector<LayerSamples>& layers = samples.models[model];
  const Duration around_units =
      within_memory(keys_[model], [&] { return bench.run(around, layers); });
  samples.around[model].push_back(around_units);
  samples.minibatches[model].push_back(last_of(layers));
  if (device_.is_cpu()) return;
  const auto units = static_cast<Duration::rep>(bench.units());
  const Duration whole = run_whole(model, around, samples);
  samples.ramp.push_back(std::max((whole - around_units) / units, Duration{}));
}

Duration Lane::run_whole(std::size_t model, const Surroundings& around, LaneSamples& samples) {
  Surroundings by_unit = around;
  by_unit.by_layer = false;
  std::vector<LayerSamples> none;
  samples.whole.resize(keys_.size());
  return samples.whole[model].emplace_back(models_[model]->run(by_unit, none));
}

void Lane::run_copies(LaneSamples& samples) {
  constexpr int kSmall = 10;  // Samples of microseconds.
  copies_->to_device(samples.copies);
  copies_->to_host(samples.copies_back);
  for (int i = 0; i < kSmall; ++i) samples.overhead.push_back(time_unit_overhead(device_));
  time_hand_over(kSmall, samples.hand_over);
}

}  // namespace shardlab
