#pragma once

#include <cstdint>

#include "core/model.h"

namespace shardlab {

constexpr int kVocabulary = 256;      ///< Bytes.
constexpr int kMaskToken = 256;       ///< Input only.
constexpr int kIgnoredTarget = -100;  ///< Not part of the loss.

/// Throws Error naming the field when no model can be made of `spec`.
void validate(const ModelSpec& spec);

/// Layers of the chain: embedding, `spec.layers` blocks, head with the loss.
constexpr int chain_length(const ModelSpec& spec) { return spec.layers + 2; }

/// A vit tells CIFAR-10's classes apart, the others bytes.
constexpr int classes(const ModelSpec& spec) {
  return spec.architecture == Architecture::kVit ? kImageClasses : kVocabulary;
}

/// An mlp predicts one byte per sequence, a vit the class of an image, the others a byte per token.
constexpr std::int64_t targets_per_sequence(const ModelSpec& spec) {
  const bool one =
      spec.architecture == Architecture::kMlp || spec.architecture == Architecture::kVit;
  return one ? 1 : spec.context;
}

/// Vectors of `width` between two layers: one per token, of an mlp one.
constexpr std::int64_t rows_per_sequence(const ModelSpec& spec) {
  return spec.architecture == Architecture::kMlp ? 1 : spec.context;
}

/// Floats at any boundary between two layers.
constexpr std::int64_t boundary_elements(const ModelSpec& spec, int batch) {
  return batch * rows_per_sequence(spec) * spec.width;
}

}  // namespace shardlab
