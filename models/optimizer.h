#pragma once

#include <cstdint>
#include <span>

#include "core/model.h"

namespace shardlab {

/// AdamW's other constants: the defaults of torch::optim.
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

/// How much of a batch goes into a running statistic: the default of torch::nn::BatchNorm.
constexpr float kStatisticMomentum = 0.1F;

/// What a step does to a statistic: running <- (1 - kStatisticMomentum) running +
/// kStatisticMomentum batch. Of a minibatch in parts, `batch` is the mean over these.
void move_statistic(std::span<float> running, std::span<const float> batch);

/// One step over one parameter, in place. `step` counts from 1. `state` starts as zeros and holds,
/// for n parameters, [momentum: n] for SGD and [first moment: n | second moment: n] for AdamW.
/// Equal to torch::optim up to rounding. Requires gradients.size() == n and state.size() == n *
/// state_factor(optimizer.kind).
void step(const OptimizerSpec& optimizer, std::int64_t step, std::span<float> parameters,
          std::span<const float> gradients, std::span<float> state);

/// Elements [first, first + gradients.size()) of a parameter of parameters.size() elements, bit for
/// bit as the whole would be: for cutting the work between threads.
void step_range(const OptimizerSpec& optimizer, std::int64_t step, std::int64_t first,
                std::span<float> parameters, std::span<const float> gradients,
                std::span<float> state);

}  // namespace shardlab
