#pragma once

#include <vector>

#include "core/profile.h"

namespace shardlab {

/// Sizes of every layer of a model by arithmetic alone, without LibTorch; no times. Parameters,
/// state and outputs are exact. What is saved and workspaces are those of fp32: of a gpt or bert
/// what
/// LibTorch 2.11 allocated on an H100 (tests hold them against profiles/), for bf16 more than that,
/// for an mlp an upper bound. Throws Error when `spec` makes no model.
std::vector<LayerCost> layer_sizes(const ModelSpec& spec, int batch, OptimizerKind optimizer);

}  // namespace shardlab
