#pragma once

#include <memory>
#include <vector>

#include "core/model.h"
#include "models/dropout.h"
#include "models/layer.h"

namespace shardlab {

/// Requires a valid spec of that architecture.
std::vector<std::unique_ptr<Layer>> transformer_layers(const ModelSpec& spec);
std::vector<std::unique_ptr<Layer>> mlp_layers(const ModelSpec& spec);

/// Layer norm and linear to the classes; of a vit, of the mean over its patches (arXiv 2205.01580).
std::unique_ptr<Layer> head_layer(const ModelSpec& spec);

/// `input` with its dropout applied; `input` itself when probability is 0.
at::Tensor dropout(const at::Tensor& input, double probability, const PassKey& key, int layer,
                   int site);

}  // namespace shardlab
