#include "models/layer_sizes.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "models/layer_parameters.h"
#include "models/validate.h"

namespace shardlab {
namespace {

constexpr Bytes kFloat = 4;

/// Multiples of what lies between two layers, and what is added to them.
class Sizes {
 public:
  Sizes(const ModelSpec& spec, int batch)
      : boundary_(kFloat * boundary_elements(spec, batch)),
        rows_(batch * rows_per_sequence(spec)),
        targets_(batch * targets_per_sequence(spec)),
        images_(spec.architecture == Architecture::kVit ? batch * kImageNumbers : 0),
        dropout_(spec.dropout > 0 ? 1 : 0),
        norm_(spec.batch_norm ? 1 : 0) {}

  void embedding(const ModelSpec& spec, int batch, LayerCost& to) const {
    const bool mlp = spec.architecture == Architecture::kMlp;
    const Bytes joined = mlp ? kFloat * batch * spec.context * kByteWidth : 0;
    to.output = boundary_;
    to.forward_workspace = (1 + 2 * dropout_) * boundary_ + joined;
    to.saved = dropout_ * boundary_ + joined;  // The mask.
    if (images_ > 0) {
      // Floats; before that twice, while they are put in the order of patches.
      const Bytes pixels = kFloat * images_;
      to.forward_workspace = std::max(to.forward_workspace + pixels, 2 * pixels - boundary_);
      to.saved += pixels;
    }
    // The gradient of what was embedded lives after those of the parameters are there.
    to.backward_workspace = std::max<Bytes>((1 + dropout_) * boundary_ + joined - to.parameters, 0);
  }

  void block(const ModelSpec& spec, LayerCost& to) const {
    to.output = boundary_;
    if (spec.architecture == Architecture::kMlp) {
      const Bytes statistics = 4 * norm_ * kFloat * spec.width;  // Of the batch, in two forms.
      to.forward_workspace = (2 + 2 * dropout_ + norm_) * boundary_ + statistics;
      to.saved = (1 + dropout_ + norm_) * boundary_ + statistics;
      to.backward_workspace = (2 + norm_) * boundary_;
      return;
    }
    // Both norms (2), queries, keys and values (3), attended and joined (2), their sum with the
    // input (1), before and after GELU, less the output; mean and deviation of each norm and row,
    // and a logarithm of each head and row.
    const std::int64_t width = spec.width, wide = feed_forward_width(spec);
    const Bytes inner = kFloat * rows_ * wide;
    // While GELU's output is made, that of the second layer is dropped out, or values are joined.
    to.forward_workspace =
        std::max({boundary_ + 2 * inner, (2 + 2 * dropout_) * boundary_ + inner, 5 * boundary_});
    to.saved = (7 + 2 * dropout_) * boundary_ + 2 * inner + kFloat * rows_ * (4 + spec.heads);
    // Gradients of what is saved, beyond those of the parameters that are there by then: at
    // attention (without dropout one boundary less), or at GELU with those of the second layer.
    to.backward_workspace =
        std::max<Bytes>({2 * boundary_ - to.parameters,
                         inner + kFloat * (width * wide + width) - boundary_ - to.parameters, 0});
  }

  void head(const ModelSpec& spec, LayerCost& to) const {
    const Bytes logits = kFloat * targets_ * classes(spec), norms = 2 * kFloat * rows_;
    if (images_ > 0) {  // Between norm and logits, the mean over patches; its gradient at each.
      const Bytes mean = kFloat * targets_ * spec.width;
      to.forward_workspace = boundary_ + std::max(norms, mean + logits);
      to.saved = mean + logits + norms + 2 * kFloat;
      to.backward_workspace = boundary_ + mean + 2 * logits;
      return;
    }
    to.forward_workspace = boundary_ + logits;
    to.saved = boundary_ + logits + norms + 2 * kFloat;
    to.backward_workspace = std::max<Bytes>(2 * logits + 2 * kFloat * (1 - spec.width), 0);
  }

 private:
  Bytes boundary_, rows_, targets_, images_, dropout_, norm_;
};

/// In floating point; more than any layer has.
void refuse_overflow(const ModelSpec& spec, int batch) {
  const double w = spec.width, rows = double{1} * batch * spec.context;
  const auto inner = static_cast<double>(feed_forward_width(spec));
  const double floats = (16 + kByteWidth * double{1} * spec.context) * w * w + 2 * w * inner +
                        rows * (32 * w + 4 * inner) +
                        rows * (spec.heads + 4 * kVocabulary + kByteWidth);
  if (floats < 0x1p56) return;
  throw Error(
      fmt::format("{}, batch {}: a layer would take more than 2^58 bytes", describe(spec), batch));
}

LayerCost layer(std::string name, const std::vector<ParameterSpec>& parameters,
                OptimizerKind optimizer) {
  LayerCost result;
  result.name = std::move(name);
  result.parameters = kFloat * padded_elements(parameters);
  result.state = state_factor(optimizer) * result.parameters;
  return result;
}

}  // namespace

std::vector<LayerCost> layer_sizes(const ModelSpec& spec, int batch, OptimizerKind optimizer) {
  validate(spec);
  refuse_overflow(spec, batch);
  const Sizes sizes(spec, batch);
  std::vector<LayerCost> layers;
  sizes.embedding(spec, batch,
                  layers.emplace_back(layer("embedding", embedding_parameters(spec), optimizer)));
  for (int i = 1; i <= spec.layers; ++i) {
    sizes.block(spec, layers.emplace_back(
                          layer(fmt::format("block {}", i), block_parameters(spec), optimizer)));
  }
  sizes.head(spec, layers.emplace_back(layer("head", head_parameters(spec), optimizer)));
  return layers;
}

}  // namespace shardlab
