#include "models/model.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/cross_entropy_loss.h>

#include "models/blocks.h"
#include "models/validate.h"

namespace shardlab {

Model::Model(const ModelSpec& spec) : spec_(spec) {
  validate(spec);
  layers_ = spec.architecture == Architecture::kMlp ? mlp_layers(spec) : transformer_layers(spec);
  layers_.push_back(head_layer(spec));
}

at::Tensor loss(const at::Tensor& logits, const at::Tensor& targets) {
  return at::cross_entropy_loss(logits, targets.reshape({-1}), {}, at::Reduction::Mean,
                                kIgnoredTarget);
}

}  // namespace shardlab
