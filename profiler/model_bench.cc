#include "profiler/model_bench.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include <ATen/core/Tensor.h>

#include "core/counter_hash.h"
#include "core/error.h"
#include "models/memory_account.h"
#include "models/validate.h"

namespace shardlab {
namespace {

// The time of a pass does not depend on the text, only on its length.
std::vector<std::int64_t> made_up_bytes(std::int64_t count) {
  std::vector<std::int64_t> bytes(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::int64_t>(mix(i) % kVocabulary);
  return bytes;
}

Bytes bytes_of(const std::vector<at::Tensor>& tensors) {
  Bytes sum = 0;
  for (const at::Tensor& tensor : tensors) sum += static_cast<Bytes>(tensor.nbytes());
  return sum;
}

int positive(int batch) {
  if (batch < 1) throw Error("batch is " + std::to_string(batch) + ", must be at least 1");
  return batch;
}

}  // namespace

ModelBench::ModelBench(const ModelSpec& model, int batch, OptimizerKind optimizer, Bytes shard)
    : key_{model, positive(batch), optimizer, {}},
      model_(model),
      whole_(model_, 0, model_.layers()),
      // Without a learning rate weights stay as they are; the step costs the same.
      optimizer_{optimizer, 0.0, 0.9, 0.0},
      parameters_(whole_.parameter_floats()),
      state_(whole_.parameter_floats() * state_factor(optimizer)),
      host_parameters_(whole_.parameter_floats()),
      host_state_(whole_.parameter_floats() * state_factor(optimizer)),
      input_(made_up_bytes(batch * inputs_per_sequence(model))),
      target_(made_up_bytes(batch * targets_per_sequence(model))) {
  for (int i = 0; i < model_.layers(); ++i) layers_.emplace_back(model_, i, i + 1);
  cut(shard);
  whole_.initialize(1, parameters_.span());
  whole_.initialize(1, host_parameters_.span());
}

float* ModelBench::parameters(const ShardPass& layer) const {
  return parameters_.data() + whole_.offset(layer.first());
}

float* ModelBench::state(const ShardPass& layer) const {
  return state_.data() + whole_.offset(layer.first()) * state_factor(optimizer_.kind);
}

std::vector<LayerCost> ModelBench::measure_bytes() {
  const at::Tensor target = view_tokens(target_, key_.batch);
  at::Tensor input = view_tokens(input_, key_.batch);
  std::vector<LayerCost> costs;
  for (const ShardPass& layer : layers_) {
    LayerCost& cost = costs.emplace_back();
    cost.name = model_.layer(layer.first()).name();
    cost.parameters = layer.parameter_bytes();
    cost.state = cost.parameters * state_factor(optimizer_.kind);
    input = measure_passes(layer, input, target, cost);
  }
  return costs;
}

// Returns the activation above, which also serves as its own gradient.
at::Tensor ModelBench::measure_passes(const ShardPass& layer, const at::Tensor& input,
                                      const at::Tensor& target, LayerCost& cost) {
  MemoryAccount account;
  const AccountScope scope(account);
  const float* weights = parameters(layer);
  const bool last = layer.makes_loss();
  at::Tensor above;
  if (last) {
    (void)layer.evaluate(weights, input, target, {});
  } else {
    above = layer.forward(weights, input, {});
  }
  const Bytes forward_peak = account.peak();
  const Bytes before = account.current();

  account.reset_peak();
  Recording recording =
      last ? layer.record(weights, input, target, {}) : layer.record(weights, input, {});
  cost.output = last ? 0 : bytes_of(recording.output);  // No cut carries the loss.
  cost.saved = account.current() - before - cost.output;
  cost.forward_workspace = forward_peak - cost.output;
  const Gradients gradients =
      last ? layer.backward(std::move(recording)) : layer.backward(std::move(recording), above);
  layer.step(optimizer_, 1, gradients, parameters(layer), state(layer));
  const Bytes counted = cost.saved + cost.output + cost.parameters + bytes_of(gradients.input);
  cost.backward_workspace = std::max<Bytes>(0, account.peak() - before - counted);
  return above;
}

void ModelBench::run(const Surroundings& around, std::vector<LayerSamples>& samples) {
  const at::Tensor target = view_tokens(target_, key_.batch);
  const std::size_t count = layers_.size();
  const PassKey pass{1, step_++, 0};
  samples.resize(count);
  std::vector<at::Tensor> boundary(count);
  boundary[0] = view_tokens(input_, key_.batch);
  for (const Group& group : groups_) {
    around.begin();
    if (around.promotes) promote(group, /*with_state=*/false);
    for (std::size_t i = group.first; i < group.last; ++i) {
      samples[i].forward.push_back(timed([&] {
        if (i + 1 < count) {
          boundary[i + 1] = layers_[i].forward(parameters(layers_[i]), boundary[i], pass);
        } else {
          (void)layers_[i].evaluate(parameters(layers_[i]), boundary[i], target, pass);
        }
      }));
    }
    around.end();
  }
  at::Tensor above;  // The gradient from the group above.
  for (std::size_t g = groups_.size(); g-- > 0;) {
    const auto [first, last] = groups_[g];
    around.begin();
    if (around.promotes) promote(groups_[g], /*with_state=*/true);
    std::vector<Recording> recordings(last - first);
    for (std::size_t i = first; i < last; ++i) {
      const float* weights = parameters(layers_[i]);
      samples[i].recompute.push_back(timed([&] {
        recordings[i - first] = i + 1 < count
                                    ? layers_[i].record(weights, boundary[i], pass)
                                    : layers_[i].record(weights, boundary[i], target, pass);
      }));
    }
    std::vector<Gradients> gradients(last - first);
    for (std::size_t i = last; i-- > first;) {
      Recording& recording = recordings[i - first];
      samples[i].backward.push_back(timed([&] {
        gradients[i - first] = i + 1 < count ? layers_[i].backward(std::move(recording), above)
                                             : layers_[i].backward(std::move(recording));
      }));
      if (i > 0) above = std::move(gradients[i - first].input.front());
    }
    for (std::size_t i = first; i < last; ++i) {
      samples[i].step.push_back(timed([&] {
        layers_[i].step(optimizer_, step_, gradients[i - first], parameters(layers_[i]),
                        state(layers_[i]));
      }));
    }
    around.end();
  }
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

void ModelBench::promote(const Group& group, bool with_state) {
  const std::int64_t first = whole_.offset(layers_[group.first].first());
  std::int64_t floats = 0;
  for (std::size_t i = group.first; i < group.last; ++i) floats += layers_[i].parameter_floats();
  const auto copy = [&](const Arena& to, const Arena& from, int factor) {
    std::copy_n(from.data() + first * factor, floats * factor, to.data() + first * factor);
  };
  copy(parameters_, host_parameters_, 1);
  if (with_state) copy(state_, host_state_, state_factor(optimizer_.kind));
}

Duration time_unit_overhead() {
  static const Arena kValues(16 * 16);
  const std::array<std::int64_t, 16> tokens{};
  const ModelSpec spec{Architecture::kMlp, 1, 16, 1, 1, 0};
  const MemoryAccount account;
  return timed([&] {
    const AccountScope scope(account);
    const at::Tensor ids = view_tokens(tokens, 16);
    const at::Tensor below = view_activation(kValues.data(), spec, 16);
    const at::Tensor above = below.clone();
    (void)timed([] {});
  });
}

}  // namespace shardlab
