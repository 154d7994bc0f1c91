#pragma once

#include <array>
#include <cstdint>

#include "core/bytes.h"
#include "core/model.h"
#include "core/phase.h"
#include "core/profile.h"

namespace shardlab {

enum class LayerKind : std::uint8_t { kEmbedding, kBlock, kHead };

inline constexpr std::array kLayerKinds{LayerKind::kEmbedding, LayerKind::kBlock, LayerKind::kHead};

/// A model with what else decides how much its layers have to do.
struct Shape {
  ModelSpec model;
  OptimizerKind optimizer = OptimizerKind::kAdamW;
  int batch = 0;

  /// Embedding, blocks, head.
  [[nodiscard]] int layers() const { return model.layers + 2; }
  /// Vectors of `width` between two layers: one per token, of an mlp one per sequence.
  [[nodiscard]] double vectors() const;
};

Shape shape_of(const ModelProfile& measured);
/// Of the same precision and dropout, and both transformers of text, vits or mlps: what a guess can
/// start from. A gpt's blocks are a bert's with a causal mask.
bool comparable(const ModelProfile& measured, const Shape& shape);
/// Of the same architecture and optimizer, too.
bool alike(const ModelProfile& measured, const Shape& shape);
/// They differ in depth at most.
bool same_size(const ModelSpec& a, const ModelSpec& b);
bool is_mlp(const ModelSpec& model);
LayerKind kind_of(const ModelSpec& model, int layer);

/// What the time of a phase grows with, and nothing else: for one minibatch.
struct LayerWork {
  double kernels = 0;  ///< About how many are launched.
  double flops = 0;    ///< Of matrix products.
  double bytes = 0;    ///< Read and written in the device's memory.
};

/// Operations as in arXiv 2104.04473, §5.1, for the layers of models/: a block has 24 w² per token
/// and 4 w context for attention, half of it under a causal mask; backward is twice a forward.
/// Bytes: every operand of every operator once. A step reads gradients and reads and writes
/// parameters and state.
LayerWork layer_work(const Shape& shape, LayerKind kind, Phase phase);

/// Of one layer, in fp32.
Bytes parameter_bytes(const ModelSpec& model, LayerKind kind);
/// What it hands to the layer above.
Bytes output_bytes(const Shape& shape, LayerKind kind);

}  // namespace shardlab
