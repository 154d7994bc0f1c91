#include "fit/layer_work.h"

namespace shardlab {
namespace {

constexpr double kVocabulary = 256;  // Bytes of text; the embedding has one token more.
constexpr double kByteWidth = 16;    // Of a byte's embedding in an mlp.
constexpr double kFloat = 4;         // Bytes of parameters and activations.

bool is_vit(const ModelSpec& model) { return model.architecture == Architecture::kVit; }

double parameters(const ModelSpec& model, LayerKind kind) {
  const double w = model.width, context = model.context;
  const auto inner = static_cast<double>(feed_forward_width(model));
  switch (kind) {
    case LayerKind::kEmbedding:
      if (is_mlp(model)) return (kVocabulary + 1) * kByteWidth + w * context * kByteWidth + w;
      if (is_vit(model)) return (kImageNumbers / context + 1 + context) * w;
      return (kVocabulary + 1 + context) * w;
    case LayerKind::kBlock:
      if (is_mlp(model)) return w * w + (model.batch_norm ? 5 : 1) * w;
      return (4 * w + 2 * inner) * w + 9 * w + inner;
    case LayerKind::kHead:
      break;
  }
  const double classes = is_vit(model) ? kImageClasses : kVocabulary;
  return classes * w + classes + 2 * w;
}

/// Of one forward; `activations` in numbers, without parameters.
struct ForwardWork {
  double kernels, flops, activations;
};

ForwardWork forward_work(const Shape& shape, LayerKind kind) {
  const double w = shape.model.width, context = shape.model.context, vectors = shape.vectors();
  switch (kind) {
    case LayerKind::kEmbedding:
      if (is_mlp(shape.model)) {
        const double inner = context * kByteWidth;
        return {3, 2 * inner * w * vectors, (3 * inner + 2 * w) * vectors};
      }
      if (is_vit(shape.model)) {
        const double images = kImageNumbers * shape.batch;
        return {6, 2 * images * w, 9 * images + 3 * w * vectors};
      }
      return {2, 0, 5 * w * vectors};
    case LayerKind::kBlock: {
      if (is_mlp(shape.model)) {
        const double norm = shape.model.batch_norm ? 1 : 0;
        return {3 + norm, 2 * w * w * vectors, (5 + 3 * norm) * w * vectors};
      }
      const double seen = shape.model.architecture == Architecture::kGpt ? 0.5 : 1;
      const auto inner = static_cast<double>(feed_forward_width(shape.model));
      // Norms 4, qkv 4, attention 4, copy 2, join 2, additions 6; rounded. Up and down w + inner
      // each, gelu 2 inner.
      return {12, (8 * w * w + 4 * inner * w + 4 * seen * context * w) * vectors,
              (24 * w + 4 * inner) * vectors};
    }
    case LayerKind::kHead:
      break;
  }
  if (is_vit(shape.model)) return {6, 2 * w * kImageClasses * shape.batch, 3 * w * vectors};
  return {5, 2 * w * kVocabulary * vectors, (3 * w + 4 * kVocabulary) * vectors};
}

}  // namespace

bool is_mlp(const ModelSpec& model) { return model.architecture == Architecture::kMlp; }

double Shape::vectors() const { return is_mlp(model) ? batch : double{1} * batch * model.context; }

Shape shape_of(const ModelProfile& measured) {
  return {measured.model, measured.optimizer, measured.batch};
}

bool comparable(const ModelProfile& measured, const Shape& shape) {
  const auto imported = [](const ModelSpec& model) {
    return model.architecture == Architecture::kImported;
  };
  if (imported(measured.model) || imported(shape.model)) return false;
  return missing_costs(measured).empty() && is_mlp(measured.model) == is_mlp(shape.model) &&
         is_vit(measured.model) == is_vit(shape.model) &&
         measured.model.precision == shape.model.precision &&
         measured.model.dropout == shape.model.dropout &&
         measured.model.batch_norm == shape.model.batch_norm;
}

bool alike(const ModelProfile& measured, const Shape& shape) {
  return comparable(measured, shape) && measured.model.architecture == shape.model.architecture &&
         measured.optimizer == shape.optimizer;
}

bool same_size(const ModelSpec& a, const ModelSpec& b) {
  return a.width == b.width && a.heads == b.heads && a.context == b.context &&
         a.feed_forward == b.feed_forward;
}

LayerKind kind_of(const ModelSpec& model, int layer) {
  if (layer == 0) return LayerKind::kEmbedding;
  return layer <= model.layers ? LayerKind::kBlock : LayerKind::kHead;
}

LayerWork layer_work(const Shape& shape, LayerKind kind, Phase phase) {
  const double own = parameters(shape.model, kind);
  if (phase == Phase::kStep) {
    return {1, 0, kFloat * own * (3 + 2 * state_factor(shape.optimizer))};
  }
  const double number = shape.model.precision == Precision::kBf16 ? 2 : kFloat;
  const ForwardWork forward = forward_work(shape, kind);
  const double read =
      kind == LayerKind::kEmbedding && !is_mlp(shape.model) && !is_vit(shape.model) ? 0 : own;
  if (phase == Phase::kBackward) {  // Parameters are read and their gradients written.
    return {2 * forward.kernels, 2 * forward.flops,
            number * (read + 2 * forward.activations) + kFloat * own};
  }
  return {forward.kernels, forward.flops, number * (read + forward.activations)};
}

Bytes parameter_bytes(const ModelSpec& model, LayerKind kind) {
  return static_cast<Bytes>(kFloat * parameters(model, kind));
}

Bytes output_bytes(const Shape& shape, LayerKind kind) {
  if (kind == LayerKind::kHead) return 0;
  return static_cast<Bytes>(kFloat * shape.model.width * shape.vectors());
}

}  // namespace shardlab
