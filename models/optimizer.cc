#include "models/optimizer.h"

#include <cassert>
#include <cmath>
#include <cstddef>

namespace shardlab {
namespace {

// Not to the bit as torch::optim: its kernels fuse multiply and add in vector code but not in a
// tensor's tail, so that its own last bit depends on an element's place. Here every element sees
// the same rounded operations.

void sgd(const OptimizerSpec& optimizer, std::size_t size, float* __restrict p,
         const float* __restrict g, float* __restrict momentum) {
  const auto rate = static_cast<float>(optimizer.learning_rate);
  const auto decay = static_cast<float>(optimizer.weight_decay);
  const auto keep = static_cast<float>(optimizer.momentum);
  for (std::size_t i = 0; i < size; ++i) {
    momentum[i] = keep * momentum[i] + (g[i] + decay * p[i]);
    p[i] -= rate * momentum[i];
  }
}

void adamw(const OptimizerSpec& optimizer, std::int64_t step, std::size_t size, float* __restrict p,
           const float* __restrict g, float* __restrict first, float* __restrict second) {
  const auto count = static_cast<double>(step);
  const auto shrink = static_cast<float>(1.0 - optimizer.learning_rate * optimizer.weight_decay);
  const auto keep1 = static_cast<float>(kBeta1);
  const auto take1 = static_cast<float>(1.0 - kBeta1);
  const auto keep2 = static_cast<float>(kBeta2);
  const auto take2 = static_cast<float>(1.0 - kBeta2);
  const auto correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(kBeta2, count)));
  const auto rate = static_cast<float>(optimizer.learning_rate / (1.0 - std::pow(kBeta1, count)));
  const auto epsilon = static_cast<float>(kEpsilon);
  for (std::size_t i = 0; i < size; ++i) {
    first[i] = keep1 * first[i] + take1 * g[i];
    second[i] = keep2 * second[i] + take2 * (g[i] * g[i]);
    const float denominator = std::sqrt(second[i]) / correction2 + epsilon;
    p[i] = p[i] * shrink - rate * (first[i] / denominator);
  }
}

}  // namespace

void move_statistic(std::span<float> running, std::span<const float> batch) {
  assert(running.size() == batch.size());
  for (std::size_t i = 0; i < running.size(); ++i) {
    running[i] = (1 - kStatisticMomentum) * running[i] + kStatisticMomentum * batch[i];
  }
}

void step_range(const OptimizerSpec& optimizer, std::int64_t step, std::int64_t first,
                std::span<float> parameters, std::span<const float> gradients,
                std::span<float> state) {
  const auto at = static_cast<std::size_t>(first);
  assert(at + gradients.size() <= parameters.size());
  assert(state.size() ==
         parameters.size() * static_cast<std::size_t>(state_factor(optimizer.kind)));
  float* p = parameters.data() + at;
  float* moment = state.data() + at;
  if (optimizer.kind == OptimizerKind::kSgd) {
    sgd(optimizer, gradients.size(), p, gradients.data(), moment);
  } else {
    adamw(optimizer, step, gradients.size(), p, gradients.data(), moment,
          moment + parameters.size());
  }
}

void step(const OptimizerSpec& optimizer, std::int64_t step, std::span<float> parameters,
          std::span<const float> gradients, std::span<float> state) {
  assert(gradients.size() == parameters.size());
  step_range(optimizer, step, 0, parameters, gradients, state);
}

}  // namespace shardlab
