#include "models/shard_pass.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "core/parallel.h"
#include "models/optimizer.h"
#include "models/validate.h"

namespace shardlab {
namespace {

/// Elements; below, handing work to threads costs more than it saves.
constexpr std::int64_t kStepPerThread = 1 << 16;

at::Tensor view_floats(const float* values, at::IntArrayRef shape,
                       c10::Device device = c10::Device(c10::kCPU)) {
  // from_blob takes no const; only an optimizer step writes through these views. The device is
  // said twice, or it would ask the driver whose address that is.
  return at::for_blob(const_cast<float*>(values), shape)
      .options(at::TensorOptions().dtype(at::kFloat).device(device))
      .target_device(device)
      .make_tensor();
}

/// Matrix products of `precision` for this thread and device, as long as it lives.
class PrecisionScope {
 public:
  PrecisionScope(Precision precision, c10::DeviceType device)
      : device_(device),
        enabled_(at::autocast::is_autocast_enabled(device)),
        type_(at::autocast::get_autocast_dtype(device)),
        cached_(at::autocast::is_autocast_cache_enabled()) {
    if (precision == Precision::kFp32 && !enabled_) return;
    at::autocast::set_autocast_enabled(device, precision == Precision::kBf16);
    at::autocast::set_autocast_dtype(device, at::kBFloat16);
    // The cache is one for all threads, and a pass uses each weight once.
    at::autocast::set_autocast_cache_enabled(false);
  }
  ~PrecisionScope() {
    at::autocast::set_autocast_enabled(device_, enabled_);
    at::autocast::set_autocast_dtype(device_, type_);
    at::autocast::set_autocast_cache_enabled(cached_);
  }
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  c10::DeviceType device_;
  bool enabled_;
  at::ScalarType type_;
  bool cached_;
};

}  // namespace

at::Tensor view_tokens(std::span<const std::int64_t> tokens, int batch) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  return at::from_blob(const_cast<std::int64_t*>(tokens.data()), {batch, count / batch},
                       at::TensorOptions().dtype(at::kLong));
}

at::Tensor view_activation(const float* values, const ModelSpec& spec, int batch) {
  if (spec.architecture == Architecture::kMlp) return view_floats(values, {batch, spec.width});
  return view_floats(values, {batch, spec.context, spec.width});
}

ShardPass::ShardPass(const Model& model, int first, int last)
    : model_(&model), first_(first), last_(last) {
  if (first < 0 || first >= last || last > model.layers()) {
    throw Error("layers [" + std::to_string(first) + ", " + std::to_string(last) +
                ") are no shard of a model of " + std::to_string(model.layers()) + " layers");
  }
  floats_ = offset(last);
}

std::int64_t ShardPass::offset(int layer) const {
  assert(first_ <= layer && layer <= last_);
  std::int64_t floats = 0;
  for (int i = first_; i < layer; ++i) floats += padded_elements(model_->layer(i).parameters());
  return floats;
}

void ShardPass::initialize(std::uint64_t seed, std::span<float> parameters) const {
  for (int i = first_; i < last_; ++i) {
    const auto specs = model_->layer(i).parameters();
    shardlab::initialize(specs, seed, i,
                         parameters.subspan(static_cast<std::size_t>(offset(i)),
                                            static_cast<std::size_t>(padded_elements(specs))));
  }
}

std::vector<at::Tensor> ShardPass::bind(const float* parameters, const at::Tensor& input,
                                        bool requires_grad) const {
  std::vector<at::Tensor> views;
  for (int i = first_; i < last_; ++i) {
    for (const ParameterSpec& spec : model_->layer(i).parameters()) {
      views.push_back(
          view_floats(parameters, spec.shape, input.device()).set_requires_grad(requires_grad));
      parameters += padded_elements(spec);
    }
  }
  return views;
}

at::Tensor ShardPass::run(std::span<const at::Tensor> parameters, const at::Tensor& input,
                          const PassKey& key) const {
  const PrecisionScope precision(model_->spec().precision, input.device().type());
  at::Tensor x = input;
  for (int i = first_; i < last_; ++i) {
    const Layer& layer = model_->layer(i);
    const std::size_t count = layer.parameters().size();
    // What crosses a layer's boundary is fp32, so that any cut gives the same bits.
    x = layer.forward(parameters.first(count), x, key).to(at::kFloat);
    parameters = parameters.subspan(count);
  }
  return x;
}

at::Tensor ShardPass::forward(const float* parameters, const at::Tensor& input,
                              const PassKey& key) const {
  assert(!makes_loss());
  const at::NoGradGuard no_graph;
  return run(bind(parameters, input, false), input, key);
}

double ShardPass::evaluate(const float* parameters, const at::Tensor& input,
                           const at::Tensor& targets, const PassKey& key) const {
  assert(makes_loss());
  const at::NoGradGuard no_graph;
  return loss(run(bind(parameters, input, false), input, key), targets).item<float>();
}

Recording ShardPass::start(const float* parameters, const at::Tensor& input) const {
  Recording recording{bind(parameters, input, true), {}};
  if (!takes_tokens()) recording.leaves.push_back(input.detach().set_requires_grad(true));
  return recording;
}

Recording ShardPass::record(const float* parameters, const at::Tensor& input,
                            const PassKey& key) const {
  assert(!makes_loss());
  const at::AutoGradMode graph(true);
  Recording recording = start(parameters, input);
  recording.output.push_back(
      run(recording.leaves, takes_tokens() ? input : recording.leaves.back(), key));
  return recording;
}

Recording ShardPass::record(const float* parameters, const at::Tensor& input,
                            const at::Tensor& targets, const PassKey& key) const {
  assert(makes_loss());
  const at::AutoGradMode graph(true);
  Recording recording = start(parameters, input);
  const at::Tensor logits =
      run(recording.leaves, takes_tokens() ? input : recording.leaves.back(), key);
  recording.output.push_back(loss(logits, targets));
  return recording;
}

Gradients ShardPass::view_gradients(const at::Tensor& sums) const {
  return {bind(sums.const_data_ptr<float>(), sums, false), {}, 0};
}

Gradients ShardPass::finish_into(const at::Tensor& sums, const Recording& recording,
                                 const std::vector<at::Tensor>& output_gradient) const {
  std::vector<at::Tensor> views = view_gradients(sums).parameters;
  for (std::size_t i = 0; i < views.size(); ++i) {
    recording.leaves[i].mutable_grad() = std::move(views[i]);
  }
  torch::autograd::backward(recording.output, output_gradient, /*retain_graph=*/false,
                            /*create_graph=*/false, recording.leaves);
  Gradients gradients;
  if (!takes_tokens()) gradients.input.push_back(recording.leaves.back().grad());
  return gradients;
}

void ShardPass::store(const Gradients& gradients, const at::Tensor& flat) const {
  const at::NoGradGuard no_graph;
  const std::vector<at::Tensor> views = view_gradients(flat).parameters;
  for (std::size_t i = 0; i < views.size(); ++i) views[i].copy_(gradients.parameters[i]);
}

Gradients ShardPass::finish(const Recording& recording,
                            const std::vector<at::Tensor>& output_gradient,
                            const at::Tensor* sums) const {
  if (sums != nullptr) return finish_into(*sums, recording, output_gradient);
  // grad() accumulates nothing in the leaves and frees the graph as it goes.
  std::vector<at::Tensor> all =
      torch::autograd::grad(recording.output, recording.leaves, output_gradient);
  Gradients gradients;
  if (!takes_tokens()) {
    gradients.input.push_back(std::move(all.back()));
    all.pop_back();
  }
  gradients.parameters = std::move(all);
  return gradients;
}

// By value: the graph goes when the gradients are there.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
Gradients ShardPass::backward(Recording recording, const at::Tensor& output_gradient,
                              const at::Tensor* sums) const {
  return finish(recording, {output_gradient}, sums);
}

// NOLINTNEXTLINE(performance-unnecessary-value-param)
Gradients ShardPass::backward(Recording recording, const at::Tensor* sums) const {
  assert(makes_loss());
  Gradients gradients = finish(recording, {}, sums);
  gradients.loss = recording.output.front().item<float>();  // Waits for an accelerator.
  return gradients;
}

void ShardPass::step(const OptimizerSpec& optimizer, std::int64_t step, const Gradients& gradients,
                     float* parameters, float* state) const {
  std::vector<at::Tensor> flat_gradients;  // All before the first write: a copy may find no memory.
  for (const at::Tensor& each : gradients.parameters) flat_gradients.push_back(each.contiguous());
  if (flat_gradients.front().is_cpu()) {
    step_on_cpu(optimizer, step, flat_gradients, parameters, state);
  } else {
    step_on_accelerator(optimizer, step, flat_gradients, parameters, state);
  }
}

/// `in_ranges(count, body)` has `body(from, to)` called for ranges that cover [0, count).
template <typename InRanges>
void ShardPass::step_in_ranges(const OptimizerSpec& optimizer, std::int64_t step,
                               const std::vector<at::Tensor>& gradients, float* parameters,
                               float* state, const InRanges& in_ranges) const {
  const int factor = state_factor(optimizer.kind);
  auto gradient = gradients.begin();
  for (int i = first_; i < last_; ++i) {
    for (const ParameterSpec& spec : model_->layer(i).parameters()) {
      const at::Tensor& flat = *gradient++;
      const std::int64_t count = spec.elements();
      const float* values = flat.const_data_ptr<float>();
      if (spec.statistic) {
        move_statistic({parameters, static_cast<std::size_t>(count)},
                       {values, static_cast<std::size_t>(count)});
      } else {
        in_ranges(count, [=](std::int64_t from, std::int64_t to) {
          step_range(optimizer, step, from, {parameters, static_cast<std::size_t>(count)},
                     {values + from, static_cast<std::size_t>(to - from)},
                     {state, static_cast<std::size_t>(count * factor)});
        });
      }
      parameters += padded_elements(spec);
      state += padded_elements(spec) * factor;
    }
  }
}

void ShardPass::step_on_cpu(const OptimizerSpec& optimizer, std::int64_t step,
                            const std::vector<at::Tensor>& gradients, float* parameters,
                            float* state) const {
  step_in_ranges(optimizer, step, gradients, parameters, state,
                 [](std::int64_t count, const auto& body) {
                   at::parallel_for(0, count, kStepPerThread, body);
                 });
}

/// Threads begin once, for all parameters together.
void ShardPass::step_on_host(const OptimizerSpec& optimizer, std::int64_t step,
                             const Gradients& gradients, float* parameters, float* state,
                             std::size_t threads) const {
  std::vector<std::function<void()>> pieces;
  step_in_ranges(optimizer, step, gradients.parameters, parameters, state,
                 [&](std::int64_t count, const auto& body) {
                   for (std::int64_t from = 0; from < count; from += kStepPerThread) {
                     const std::int64_t to = std::min(count, from + kStepPerThread);
                     pieces.emplace_back([=] { body(from, to); });
                   }
                 });
  parallel_for(pieces.size(), threads, [&](std::size_t i) { pieces[i](); });
}

/// The same step by LibTorch's fused kernels: one launch for all parameters.
void ShardPass::step_on_accelerator(const OptimizerSpec& optimizer, std::int64_t step,
                                    const std::vector<at::Tensor>& gradients, float* parameters,
                                    float* state) const {
  const at::NoGradGuard no_graph;
  const c10::Device device = gradients.front().device();
  const bool adamw = optimizer.kind == OptimizerKind::kAdamW;
  std::vector<at::Tensor> weights, trained, first, second;
  auto gradient = gradients.begin();
  for (int i = first_; i < last_; ++i) {
    for (const ParameterSpec& spec : model_->layer(i).parameters()) {
      const at::Tensor weight = view_floats(parameters, spec.shape, device);
      if (spec.statistic) {
        weight.mul_(1 - kStatisticMomentum).add_(*gradient * kStatisticMomentum);
      } else {
        weights.push_back(weight);
        trained.push_back(*gradient);
        first.push_back(view_floats(state, spec.shape, device));
        if (adamw) second.push_back(view_floats(state + spec.elements(), spec.shape, device));
      }
      ++gradient;
      parameters += padded_elements(spec);
      state += padded_elements(spec) * state_factor(optimizer.kind);
    }
  }
  if (adamw) {
    const std::vector<at::Tensor> steps(
        weights.size(), at::full({}, static_cast<double>(step), gradients.front().options()));
    at::_fused_adamw_(weights, trained, first, second, {}, steps, optimizer.learning_rate, kBeta1,
                      kBeta2, optimizer.weight_decay, kEpsilon, /*amsgrad=*/false,
                      /*maximize=*/false);
  } else {  // Momentum starts as zeros, so that the first step is like the others.
    at::_fused_sgd_(weights, trained, first, optimizer.weight_decay, optimizer.momentum,
                    optimizer.learning_rate, /*dampening=*/0, /*nesterov=*/false,
                    /*maximize=*/false, /*is_first_step=*/false);
  }
}

}  // namespace shardlab
