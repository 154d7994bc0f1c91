#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include <ATen/ATen.h>

#include "core/workload.h"
#include "models/model.h"
#include "models/optimizer.h"
#include "models/shard_pass.h"
#include "models/text_data.h"
#include "models/validate.h"

/// The reference for bit-identity: one job trained alone, whole, in a plain loop. Every parameter
/// is a tensor of its own, there is one graph and one .backward(). Nothing of sched/ or exec/; of
/// models/ only the layers, the dropout key inside them and the optimizer step.
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
  PlainTraining(const Job& job, const TextData& text) : job_(job), text_(text), model_(job.model) {
    for (int i = 0; i < model_.layers(); ++i) add_layer(i);
  }

  PlainResult run() {
    PlainResult result;
    for (std::int64_t s = 0; s < job_.minibatches; ++s) result.losses.push_back(minibatch(s));
    for (const auto& layer : parameters_) {
      for (const at::Tensor& parameter : layer) {
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
      parameters_.back().push_back(view.clone().set_requires_grad(true));
      states_.emplace_back(
          static_cast<std::size_t>(spec.elements() * state_factor(job_.optimizer.kind)));
      from += padded_elements(spec);
    }
  }

  double minibatch(std::int64_t s) {
    std::vector<std::int64_t> input(
        static_cast<std::size_t>(job_.batch * inputs_per_sequence(job_.model)));
    std::vector<std::int64_t> target(
        static_cast<std::size_t>(job_.batch * targets_per_sequence(job_.model)));
    text_.batch(job_.model, job_.batch, job_.seed, s, input, target);
    at::Tensor x = view_tokens(input, job_.batch);
    for (int i = 0; i < model_.layers(); ++i) {
      x = model_.layer(i).forward(parameters_[static_cast<std::size_t>(i)], x, {job_.seed, s, 0});
    }
    const at::Tensor mean = loss(x, view_tokens(target, job_.batch));
    mean.backward();
    auto state = states_.begin();
    for (const auto& layer : parameters_) {
      for (const at::Tensor& parameter : layer) {
        const auto size = static_cast<std::size_t>(parameter.numel());
        const at::Tensor gradient = parameter.grad().contiguous();
        step(job_.optimizer, s + 1, {parameter.data_ptr<float>(), size},
             {gradient.data_ptr<float>(), size}, *state++);
        parameter.mutable_grad().reset();
      }
    }
    return mean.item<float>();
  }

  const Job& job_;
  const TextData& text_;
  Model model_;
  std::vector<std::vector<at::Tensor>> parameters_;
  std::vector<std::vector<float>> states_;
};

}  // namespace shardlab
