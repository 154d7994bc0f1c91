#pragma once

#include <cstdint>

#include "traces/vtrain_file.h"
#include "validate/gpt_cost.h"

namespace shardlab {

/// GPUs of one machine, all joined alike.
inline constexpr std::int64_t kMachineDevices = 8;

/// How long the simulator takes for a minibatch of `row`: `data` replicas, each a pipeline of
/// stages by 1F1B, which reduce gradients in a ring before their optimizer steps. In seconds.
double simulated_minibatch_s(const VtrainRow& row, const GptCost& cost);

}  // namespace shardlab
