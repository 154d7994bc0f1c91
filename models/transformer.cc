#include <cmath>
#include <string>

#include <ATen/core/Tensor.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "models/blocks.h"
#include "models/validate.h"

namespace shardlab {
namespace {

constexpr double kDeviation = 0.02;  // GPT-2 (Radford et al. 2019) and BERT (Devlin et al. 2019).

class TokenEmbedding : public Layer {
 public:
  explicit TokenEmbedding(const ModelSpec& spec)
      : Layer("embedding",
              {{"token", {kVocabulary + 1, spec.width}, Initial::kNormal, kDeviation},
               {"position", {spec.context, spec.width}, Initial::kNormal, kDeviation}}),
        dropout_(spec.dropout) {}

  at::Tensor forward(std::span<const at::Tensor> p, const at::Tensor& input,
                     const PassKey& key) const override {
    return dropout(at::embedding(p[0], input).add(p[1]), dropout_, key, 0, 0);
  }

 private:
  double dropout_;
};

ParameterSpec weight(std::string name, std::int64_t out, std::int64_t in,
                     double deviation = kDeviation) {
  return {std::move(name), {out, in}, Initial::kNormal, deviation};
}

std::vector<ParameterSpec> block_parameters(const ModelSpec& spec) {
  const std::int64_t w = spec.width;
  // GPT-2 scales what is added to the residual by 1 / sqrt(number of additions).
  const double residual = kDeviation / std::sqrt(2.0 * spec.layers);
  return {{"norm1_weight", {w}, Initial::kOne},
          {"norm1_bias", {w}},
          weight("qkv_weight", 3 * w, w),
          {"qkv_bias", {3 * w}},
          weight("join_weight", w, w, residual),
          {"join_bias", {w}},
          {"norm2_weight", {w}, Initial::kOne},
          {"norm2_bias", {w}},
          weight("up_weight", 4 * w, w),
          {"up_bias", {4 * w}},
          weight("down_weight", w, 4 * w, residual),
          {"down_bias", {w}}};
}

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
  layers.push_back(std::make_unique<TokenEmbedding>(spec));
  for (int i = 1; i <= spec.layers; ++i)
    layers.push_back(std::make_unique<TransformerBlock>(spec, i));
  return layers;
}

}  // namespace shardlab
