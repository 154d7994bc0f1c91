#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "core/workload.h"
#include "models/model.h"
#include "models/optimizer.h"
#include "models/shard_pass.h"
#include "models/text_data.h"
#include "models/validate.h"

/// The reference for bit-identity: one job trained alone, whole, in a plain loop. Every parameter
/// is a tensor of its own, there is one graph and one .backward(). Nothing of sched/ or exec/; of
/// models/ only the layers, the dropout key inside them and, on the CPU, the optimizer step. On an
/// accelerator LibTorch steps, unless the host is to. With microbatches and replicas it accumulates
/// gradients: .backward() of one microbatch after the other, replica by replica; then the replicas'
/// sums are added up.
namespace shardlab {

struct PlainResult {
  std::vector<double> losses;
  std::vector<float> weights;  ///< Of all layers, padding included.

  bool operator==(const PlainResult& other) const {
    return losses == other.losses && weights.size() == other.weights.size() &&
           std::memcmp(weights.data(), other.weights.data(), weights.size() * sizeof(float)) == 0;
  }
};

class PlainTraining {
 public:
  PlainTraining(const Job& job, const TextData& text, c10::Device device = c10::Device(c10::kCPU),
                int microbatches = 1, int replicas = 1, bool host_steps = false)
      : job_(job),
        text_(text),
        model_(job.model),
        device_(device),
        microbatches_(microbatches),
        replicas_(replicas),
        host_steps_(host_steps) {
    for (int i = 0; i < model_.layers(); ++i) add_layer(i);
  }

  PlainResult run() {
    PlainResult result;
    for (std::int64_t s = 0; s < job_.minibatches; ++s) result.losses.push_back(minibatch(s));
    for (const auto& layer : parameters_) {
      for (const at::Tensor& each : layer) {
        const at::Tensor parameter = each.cpu();
        const auto* values = parameter.const_data_ptr<float>();
        result.weights.insert(result.weights.end(), values, values + parameter.numel());
        result.weights.resize((result.weights.size() + kParameterGrain - 1) / kParameterGrain *
                              kParameterGrain);
      }
    }
    return result;
  }

 private:
  void add_layer(int i) {
    const auto specs = model_.layer(i).parameters();
    std::vector<float> flat(static_cast<std::size_t>(padded_elements(specs)));
    initialize(specs, job_.seed, i, flat);
    parameters_.emplace_back();
    float* from = flat.data();
    for (const ParameterSpec& spec : specs) {
      const at::Tensor view = at::from_blob(from, spec.shape, at::kFloat);
      parameters_.back().push_back(view.clone().to(device_).set_requires_grad(true));
      states_.push_back(at::zeros({state_factor(job_.optimizer.kind), spec.elements()}, device_));
      statistic_.push_back(spec.statistic);
      from += padded_elements(spec);
    }
  }

  double minibatch(std::int64_t s) {
    std::vector<std::int64_t> input(
        static_cast<std::size_t>(job_.batch * inputs_per_sequence(job_.model)));
    std::vector<std::int64_t> target(
        static_cast<std::size_t>(job_.batch * targets_per_sequence(job_.model)));
    text_.batch(job_.model, job_.batch, job_.seed, s, input, target);
    const at::Tensor tokens = view_tokens(input, job_.batch).to(device_);
    const at::Tensor targets = view_tokens(target, job_.batch).to(device_);
    double sum = 0;
    std::vector<at::Tensor> totals(states_.size());
    for (int r = 0; r < replicas_; ++r) {
      for (int m = 0; m < microbatches_; ++m)
        sum += microbatch(s, r * microbatches_ + m, tokens, targets);
      add_to(totals);
    }
    std::size_t i = 0;
    for (const auto& layer : parameters_) {
      for (const at::Tensor& parameter : layer) {
        parameter.mutable_grad() = totals[i];
        const bool away = host_steps_ && !device_.is_cpu();
        away ? step_on_host(s + 1, parameter, states_[i], statistic_[i])
             : take_step(s + 1, parameter, states_[i], statistic_[i]);
        ++i;
        parameter.mutable_grad().reset();
      }
    }
    return sum / (microbatches_ * replicas_);
  }

  double microbatch(std::int64_t s, int which, const at::Tensor& tokens,
                    const at::Tensor& targets) {
    const int size = job_.batch / (microbatches_ * replicas_);
    at::Tensor x = tokens.narrow(0, which * size, size);
    for (int i = 0; i < model_.layers(); ++i) {
      x = model_.layer(i).forward(parameters_[static_cast<std::size_t>(i)], x,
                                  {job_.seed, s, which});
    }
    const at::Tensor mean = loss(x, targets.narrow(0, which * size, size));
    mean.backward();
    return mean.item<float>();
  }

  /// One replica's gradients.
  void add_to(std::vector<at::Tensor>& totals) {
    const at::NoGradGuard no_graph;
    auto total = totals.begin();
    for (const auto& layer : parameters_) {
      for (const at::Tensor& parameter : layer) {
        at::Tensor& grad = parameter.mutable_grad();
        *total = total->defined() ? *total + grad : grad;
        grad.reset();
        ++total;
      }
    }
  }

  /// On copies of all in host memory.
  void step_on_host(std::int64_t count, const at::Tensor& parameter, const at::Tensor& state,
                    bool statistic) {
    const at::NoGradGuard no_graph;
    at::Tensor here = parameter.detach().cpu();
    const at::Tensor own_state = state.cpu();
    here.set_requires_grad(true).mutable_grad() = parameter.grad().cpu();
    take_step(count, here, own_state, statistic);
    parameter.copy_(here);
    state.copy_(own_state);
  }

  void take_step(std::int64_t count, const at::Tensor& parameter, const at::Tensor& state,
                 bool statistic) {
    const at::NoGradGuard no_graph;
    const OptimizerSpec& how = job_.optimizer;
    at::Tensor gradient = parameter.grad().contiguous();
    if (const int parts = microbatches_ * replicas_; parts > 1) gradient = gradient * (1.0 / parts);
    const auto size = static_cast<std::size_t>(parameter.numel());
    const at::Tensor first = state[0].view(parameter.sizes());
    if (statistic) {
      parameter.mul_(0.9F).add_(gradient * 0.1F);
    } else if (parameter.is_cpu()) {
      step(how, count, {parameter.data_ptr<float>(), size}, {gradient.data_ptr<float>(), size},
           {state.data_ptr<float>(), static_cast<std::size_t>(state.numel())});
    } else if (how.kind == OptimizerKind::kAdamW) {
      const at::Tensor steps = at::full({}, static_cast<float>(count), device_);
      at::_fused_adamw_({parameter}, {gradient}, {first}, {state[1].view(parameter.sizes())}, {},
                        {steps}, how.learning_rate, kBeta1, kBeta2, how.weight_decay, kEpsilon,
                        /*amsgrad=*/false, /*maximize=*/false);
    } else {
      at::_fused_sgd_({parameter}, {gradient}, {first}, how.weight_decay, how.momentum,
                      how.learning_rate, /*dampening=*/0, /*nesterov=*/false, /*maximize=*/false,
                      /*is_first_step=*/false);
    }
  }

  const Job& job_;
  const TextData& text_;
  Model model_;
  c10::Device device_;
  int microbatches_, replicas_;
  bool host_steps_;
  std::vector<std::vector<at::Tensor>> parameters_;
  std::vector<at::Tensor> states_;  ///< Per parameter: one row per moment.
  std::vector<bool> statistic_;     ///< Likewise.
};

}  // namespace shardlab
