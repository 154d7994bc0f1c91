#pragma once

#include <cstdint>
#include <span>

#include "core/model.h"

namespace shardlab {

/// AdamW's other constants: the defaults of torch::optim.
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;

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
