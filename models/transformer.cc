#include <string>

#include <ATen/core/Tensor.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "models/blocks.h"
#include "models/layer_parameters.h"

namespace shardlab {
namespace {

class TokenEmbedding : public Layer {
 public:
  explicit TokenEmbedding(const ModelSpec& spec)
      : Layer("embedding", embedding_parameters(spec)), dropout_(spec.dropout) {}

  at::Tensor forward(std::span<const at::Tensor> p, const at::Tensor& input,
                     const PassKey& key) const override {
    return dropout(at::embedding(p[0], input).add(p[1]), dropout_, key, 0, 0);
  }

 private:
  double dropout_;
};

/// Source: Dosovitskiy et al., arXiv 2010.11929, without the class token.
class PatchEmbedding : public Layer {
 public:
  explicit PatchEmbedding(const ModelSpec& spec)
      : Layer("embedding", embedding_parameters(spec)),
        side_(patch_side(spec.context)),
        dropout_(spec.dropout) {}

  /// Images as CIFAR-10 has them: a plane per colour, row by row, bytes.
  at::Tensor forward(std::span<const at::Tensor> p, const at::Tensor& input,
                     const PassKey& key) const override {
    const std::int64_t batch = input.size(0), across = kImageSide / side_;
    const at::Tensor patches = input.view({batch, 3, across, side_, across, side_})
                                   .permute({0, 2, 4, 1, 3, 5})
                                   .to(at::kFloat)
                                   .reshape({batch, across * across, 3 * side_ * side_})
                                   .mul_(2.0 / 255)
                                   .sub_(1);
    return dropout(at::linear(patches, p[0], p[1]).add(p[2]), dropout_, key, 0, 0);
  }

 private:
  std::int64_t side_;
  double dropout_;
};

class TransformerBlock : public Layer {
 public:
  TransformerBlock(const ModelSpec& spec, int index)
      : Layer("block " + std::to_string(index), block_parameters(spec)),
        width_(spec.width),
        heads_(spec.heads),
        causal_(spec.architecture == Architecture::kGpt),
        dropout_(spec.dropout),
        index_(index) {}

  at::Tensor forward(std::span<const at::Tensor> p, const at::Tensor& input,
                     const PassKey& key) const override {
    const at::Tensor attended = attention(p, at::layer_norm(input, {width_}, p[0], p[1]));
    const at::Tensor middle = input.add(dropout(attended, dropout_, key, index_, 0));
    at::Tensor inner = at::linear(at::layer_norm(middle, {width_}, p[6], p[7]), p[8], p[9]);
    inner = at::gelu(inner);
    return middle.add(dropout(at::linear(inner, p[10], p[11]), dropout_, key, index_, 1));
  }

 private:
  at::Tensor attention(std::span<const at::Tensor> p, const at::Tensor& input) const {
    const std::int64_t batch = input.size(0);
    const std::int64_t context = input.size(1);
    // [3, batch, heads, context, head width]
    const auto parts = at::linear(input, p[2], p[3])
                           .view({batch, context, 3, heads_, width_ / heads_})
                           .permute({2, 0, 3, 1, 4})
                           .unbind(0);
    const at::Tensor joined =
        at::scaled_dot_product_attention(parts[0], parts[1], parts[2], {}, 0.0, causal_);
    return at::linear(joined.transpose(1, 2).reshape({batch, context, width_}), p[4], p[5]);
  }

  std::int64_t width_;
  std::int64_t heads_;
  bool causal_;
  double dropout_;
  int index_;
};

}  // namespace

std::vector<std::unique_ptr<Layer>> transformer_layers(const ModelSpec& spec) {
  std::vector<std::unique_ptr<Layer>> layers;
  if (spec.architecture == Architecture::kVit) {
    layers.push_back(std::make_unique<PatchEmbedding>(spec));
  } else {
    layers.push_back(std::make_unique<TokenEmbedding>(spec));
  }
  for (int i = 1; i <= spec.layers; ++i)
    layers.push_back(std::make_unique<TransformerBlock>(spec, i));
  return layers;
}

}  // namespace shardlab
