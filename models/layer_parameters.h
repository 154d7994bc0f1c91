#pragma once

#include <vector>

#include "core/model.h"
#include "models/parameters.h"

namespace shardlab {

constexpr int kByteWidth = 16;  ///< Of a byte's embedding in an mlp.

// The weights of each layer of a model, in the order in which its forward takes them. Require a
// valid spec.
std::vector<ParameterSpec> embedding_parameters(const ModelSpec& spec);
std::vector<ParameterSpec> block_parameters(const ModelSpec& spec);
std::vector<ParameterSpec> head_parameters(const ModelSpec& spec);

}  // namespace shardlab
