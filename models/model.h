#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/model.h"
#include "models/layer.h"

namespace shardlab {

/// A chain of layers: embedding, spec.layers blocks, head.
///   mlp   the context's bytes, embedded and joined → blocks of linear + GELU → the next byte
///   gpt   token + position → pre-norm decoder blocks with causal attention → the next byte at
///         each position
///   bert  the same without the causal mask → the masked bytes
///   vit   patches of an image, flattened, linear + position → the blocks of bert → its class
class Model {
 public:
  /// Throws Error when `spec` makes no model.
  explicit Model(const ModelSpec& spec);

  [[nodiscard]] const ModelSpec& spec() const { return spec_; }
  [[nodiscard]] int layers() const { return static_cast<int>(layers_.size()); }
  [[nodiscard]] const Layer& layer(int index) const {
    return *layers_.at(static_cast<std::size_t>(index));
  }

 private:
  ModelSpec spec_;
  std::vector<std::unique_ptr<Layer>> layers_;
};

/// Mean cross entropy of logits [n, classes] over those of targets [n] that are not kIgnoredTarget.
at::Tensor loss(const at::Tensor& logits, const at::Tensor& targets);

}  // namespace shardlab
