#include "profiler/model_bench.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <ATen/core/Tensor.h>

#include "core/counter_hash.h"
#include "core/error.h"
#include "models/validate.h"
#include "profiler/bench_weights.h"
#include "profiler/laps.h"

namespace shardlab {
namespace {

// The time of a pass does not depend on text or pixels, only on their number.
std::vector<std::int64_t> made_up(std::int64_t count, int below) {
  std::vector<std::int64_t> bytes(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::int64_t>(mix(i) % static_cast<std::uint64_t>(below));
  return bytes;
}

Bytes bytes_of(const std::vector<at::Tensor>& tensors) {
  Bytes sum = 0;
  for (const at::Tensor& tensor : tensors) sum += static_cast<Bytes>(tensor.nbytes());
  return sum;
}

/// A thread of autograd holds what it handed over until it has let go of the graph, which may be
/// while the next layer is counted. It does so without waiting for anybody.
void wait_until_let_go(const Gradients& gradients) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (const auto* tensors : {&gradients.parameters, &gradients.input}) {
    for (const at::Tensor& each : *tensors) {
      while (each.use_count() > 1 && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
      }
    }
  }
}

int positive(int batch) {
  if (batch < 1) throw Error("batch is " + std::to_string(batch) + ", must be at least 1");
  return batch;
}

}  // namespace

struct ModelBench::Memory {
  WeightSpace own;  // Where none is given.
  std::optional<BenchWeights> weights;
  at::Tensor tokens, targets;
};

/// What the units of one minibatch hand on.
struct ModelBench::Minibatch {
  PassKey key;
  std::vector<at::Tensor> boundary;  // Below each layer.
  at::Tensor above;                  // The gradient from the group above.
};

ModelBench::ModelBench(const TorchDevice& device, const ModelSpec& model, int batch,
                       OptimizerKind optimizer, Bytes shard, WeightSpace* space)
    : device_(device),
      key_{model, positive(batch), optimizer, {}, std::nullopt},
      model_(model),
      whole_(model_, 0, model_.layers()),
      // Without a learning rate weights stay as they are; the step costs the same.
      optimizer_{optimizer, 0.0, 0.9, 0.0},
      memory_(std::make_unique<Memory>()) {
  for (int i = 0; i < model_.layers(); ++i) layers_.emplace_back(model_, i, i + 1);
  cut(shard);
  Memory& memory = *memory_;
  const std::int64_t floats = whole_.parameter_floats();
  memory.weights.emplace(device, whole_, state_factor(optimizer),
                         space == nullptr ? floats : largest_group(),
                         space == nullptr ? memory.own : *space);
  if (space == nullptr) memory.weights->bring({0, floats}, /*with_state=*/true);
  const auto ids = [&](std::int64_t per_sequence, int below) {
    const auto numbers = made_up(batch * per_sequence, below);
    return device.move_in(view_tokens(numbers, batch).clone());
  };
  memory.tokens = ids(inputs_per_sequence(model), kVocabulary);
  memory.targets = ids(targets_per_sequence(model), classes(model));
  device.synchronize();
}

ModelBench::~ModelBench() = default;

float* ModelBench::parameters(std::size_t layer) const {
  return memory_->weights->parameters(whole_.offset(static_cast<int>(layer)));
}

float* ModelBench::state(std::size_t layer) const {
  return memory_->weights->state(whole_.offset(static_cast<int>(layer)));
}

std::vector<LayerCost> ModelBench::measure_bytes() {
  at::Tensor input = memory_->tokens;
  std::vector<LayerCost> costs;
  for (const Group& group : groups_) {
    memory_->weights->bring(range(group), /*with_state=*/true);
    for (std::size_t i = group.first; i < group.last; ++i) {
      LayerCost& cost = costs.emplace_back();
      cost.name = model_.layer(static_cast<int>(i)).name();
      cost.parameters = layers_[i].parameter_bytes();
      cost.state = cost.parameters * state_factor(optimizer_.kind);
      input = measure_passes(layers_[i], input, memory_->targets, cost);
    }
  }
  return costs;
}

std::vector<Measured> ModelBench::measure_host_steps() {
  constexpr int kWarmUp = 1, kRounds = 7;
  const BenchWeights& weights = *memory_->weights;
  // Zeros, and no learning rate: what is stepped with stays as it is.
  const at::Tensor gradient = device_.host_zeros(whole_.parameter_floats());
  std::vector<Samples> samples(layers_.size());
  for (int round = 0; round < kWarmUp + kRounds; ++round) {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const std::int64_t first = whole_.offset(static_cast<int>(i));
      const at::Tensor own = gradient.narrow(0, first, layers_[i].parameter_floats());
      const Duration took = timed([&] {
        layers_[i].step_on_host(optimizer_, 1, layers_[i].view_gradients(own),
                                weights.host_parameters(first), weights.host_state(first),
                                device_.host_threads());
      });
      if (round >= kWarmUp) samples[i].push_back(took);
    }
  }
  std::vector<Measured> steps;
  for (Samples& each : samples) steps.push_back(summarize(std::move(each)));
  return steps;
}

// Returns the activation above, which also serves as its own gradient.
at::Tensor ModelBench::measure_passes(const ShardPass& layer, const at::Tensor& input,
                                      const at::Tensor& target, LayerCost& cost) {
  MemoryMeter meter(device_);
  const AccountScope scope(meter.account());
  const auto index = static_cast<std::size_t>(layer.first());
  const float* weights = parameters(index);
  const bool last = layer.makes_loss();
  at::Tensor above;
  if (last) {
    (void)layer.evaluate(weights, input, target, {});
  } else {
    above = layer.forward(weights, input, {});
  }
  const Bytes forward_peak = meter.peak();
  const Bytes before = meter.current();

  meter.reset_peak();
  Recording recording =
      last ? layer.record(weights, input, target, {}) : layer.record(weights, input, {});
  cost.output = last ? 0 : bytes_of(recording.output);  // No cut carries the loss.
  cost.saved = meter.current() - before - cost.output;
  cost.forward_workspace = forward_peak - cost.output;
  const Gradients gradients =
      last ? layer.backward(std::move(recording)) : layer.backward(std::move(recording), above);
  layer.step(optimizer_, 1, gradients, parameters(index), state(index));
  if (!device_.is_cpu()) wait_until_let_go(gradients);
  const Bytes counted = cost.saved + cost.output + cost.parameters + bytes_of(gradients.input);
  cost.backward_workspace = std::max<Bytes>(0, meter.peak() - before - counted);
  return above;
}

Duration ModelBench::run(const Surroundings& around, std::vector<LayerSamples>& samples) {
  samples.resize(layers_.size());
  Minibatch batch{{1, step_++, 0}, std::vector<at::Tensor>(layers_.size()), {}};
  batch.boundary.front() = memory_->tokens;
  Duration sum{};
  for (const Group& group : groups_) {
    around.begin();
    bring(group, around, /*backward=*/false);
    sum += forward(group, around, batch, samples);
    around.end();
  }
  for (auto group = groups_.rbegin(); group != groups_.rend(); ++group) {
    around.begin();
    bring(*group, around, /*backward=*/true);
    sum += backward(*group, around, batch, samples);
    around.end();
  }
  return sum;
}

Duration ModelBench::forward(const Group& group, const Surroundings& around, Minibatch& batch,
                             std::vector<LayerSamples>& samples) {
  Laps laps(device_, around);
  for (std::size_t i = group.first; i < group.last; ++i) {
    if (around.promotes) move_beside(i, Phase::kForward);
    laps.lap(i, Phase::kForward, samples, [&] {
      if (i + 1 < layers_.size()) {
        batch.boundary[i + 1] = layers_[i].forward(parameters(i), batch.boundary[i], batch.key);
      } else {
        (void)layers_[i].evaluate(parameters(i), batch.boundary[i], memory_->targets, batch.key);
      }
    });
  }
  return laps.finish();
}

Duration ModelBench::backward(const Group& group, const Surroundings& around, Minibatch& batch,
                              std::vector<LayerSamples>& samples) {
  const auto [first, last] = group;
  const std::size_t count = layers_.size();
  Laps laps(device_, around);
  std::vector<Recording> recordings(last - first);
  for (std::size_t i = first; i < last; ++i) {
    laps.lap(i, Phase::kRecompute, samples, [&] {
      const at::Tensor& input = batch.boundary[i];
      recordings[i - first] =
          i + 1 < count ? layers_[i].record(parameters(i), input, batch.key)
                        : layers_[i].record(parameters(i), input, memory_->targets, batch.key);
    });
  }
  std::vector<Gradients> gradients(last - first);
  for (std::size_t i = last; i-- > first;) {
    Recording& recording = recordings[i - first];
    if (around.promotes) move_beside(i, Phase::kBackward);
    laps.lap(i, Phase::kBackward, samples, [&] {
      gradients[i - first] = i + 1 < count ? layers_[i].backward(std::move(recording), batch.above)
                                           : layers_[i].backward(std::move(recording));
    });
    if (i > 0) batch.above = std::move(gradients[i - first].input.front());
  }
  for (std::size_t i = first; i < last; ++i) {
    laps.lap(i, Phase::kStep, samples, [&] {
      layers_[i].step(optimizer_, step_, gradients[i - first], parameters(i), state(i));
    });
  }
  return laps.finish();
}

void ModelBench::cut(Bytes shard) {
  const auto bytes = [&](std::size_t i) {
    return layers_[i].parameter_bytes() * (2 + state_factor(optimizer_.kind));
  };
  Bytes used = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (groups_.empty() || used > shard - bytes(i)) {
      groups_.push_back({i, i});
      used = 0;
    }
    groups_.back().last = i + 1;
    used += bytes(i);
  }
}

std::int64_t ModelBench::largest_group() const {
  std::int64_t floats = 0;
  for (const Group& group : groups_) floats = std::max(floats, range(group).floats);
  return floats;
}

/// Before a unit, and not timed.
void ModelBench::bring(const Group& group, const Surroundings& around, bool backward) {
  memory_->weights->bring(range(group), backward);
  if (around.promotes && device_.is_cpu()) memory_->weights->copy_in(range(group), backward);
}

void ModelBench::move_beside(std::size_t layer, Phase phase) {
  const bool backward = phase == Phase::kBackward;
  if (device_.is_cpu() || (!backward && phase != Phase::kForward)) return;
  const WeightRange moved = range({layer, layer + 1});
  device_.enter(TorchDevice::Queue::kPromote);
  memory_->weights->copy_in(moved, backward);
  if (backward) {
    device_.enter(TorchDevice::Queue::kDemote);
    memory_->weights->copy_out(moved);
  }
  device_.enter(TorchDevice::Queue::kCompute);
}

WeightRange ModelBench::range(const Group& group) const {
  const std::int64_t first = whole_.offset(static_cast<int>(group.first));
  return {first, whole_.offset(static_cast<int>(group.last)) - first};
}

}  // namespace shardlab
