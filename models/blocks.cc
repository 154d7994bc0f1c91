#include "models/blocks.h"

#include <string>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>

#include "models/batch_norm.h"
#include "models/layer_parameters.h"
#include "models/validate.h"

namespace shardlab {
namespace {

class MlpEmbedding : public Layer {
 public:
  explicit MlpEmbedding(const ModelSpec& spec) : Layer("embedding", embedding_parameters(spec)) {}

  at::Tensor forward(std::span<const at::Tensor> p, const at::Tensor& input,
                     const PassKey&) const override {
    return at::linear(at::embedding(p[0], input).flatten(1), p[1], p[2]);
  }
};

class MlpBlock : public Layer {
 public:
  MlpBlock(const ModelSpec& spec, int index)
      : Layer("block " + std::to_string(index), block_parameters(spec)),
        dropout_(spec.dropout),
        batch_norm_(spec.batch_norm),
        index_(index) {}

  at::Tensor forward(std::span<const at::Tensor> p, const at::Tensor& input,
                     const PassKey& key) const override {
    at::Tensor x = at::linear(input, p[0], p[1]);
    if (batch_norm_) x = batch_norm(x.to(at::kFloat), {p[2], p[3], p[4], p[5]});
    return dropout(at::gelu(x), dropout_, key, index_, 0);
  }

 private:
  double dropout_;
  bool batch_norm_;
  int index_;
};

class Head : public Layer {
 public:
  explicit Head(const ModelSpec& spec)
      : Layer("head", head_parameters(spec)),
        width_(spec.width),
        classes_(classes(spec)),
        pooled_(spec.architecture == Architecture::kVit) {}

  at::Tensor forward(std::span<const at::Tensor> p, const at::Tensor& input,
                     const PassKey&) const override {
    const at::Tensor normed = at::layer_norm(input, {width_}, p[0], p[1]);
    return at::linear(pooled_ ? normed.mean(1) : normed, p[2], p[3]).view({-1, classes_});
  }

 private:
  std::int64_t width_, classes_;
  bool pooled_;
};

}  // namespace

at::Tensor dropout(const at::Tensor& input, double probability, const PassKey& key, int layer,
                   int site) {
  if (probability == 0) return input;
  const DropoutKey mask_key{key.seed, key.step, key.microbatch, layer, site};
  at::Tensor mask = at::empty(input.sizes(), at::TensorOptions().dtype(at::kFloat));
  auto* values = mask.mutable_data_ptr<float>();
  at::parallel_for(0, mask.numel(), 1 << 16, [&](std::int64_t from, std::int64_t to) {
    dropout_mask(mask_key, probability, static_cast<std::uint64_t>(from),
                 {values + from, static_cast<std::size_t>(to - from)});
  });
  // Drawn on the host for every device: the bits are the same everywhere.
  return input.mul(mask.to(input.device()));
}

std::unique_ptr<Layer> head_layer(const ModelSpec& spec) { return std::make_unique<Head>(spec); }

std::vector<std::unique_ptr<Layer>> mlp_layers(const ModelSpec& spec) {
  std::vector<std::unique_ptr<Layer>> layers;
  layers.push_back(std::make_unique<MlpEmbedding>(spec));
  for (int i = 1; i <= spec.layers; ++i) layers.push_back(std::make_unique<MlpBlock>(spec, i));
  return layers;
}

}  // namespace shardlab
