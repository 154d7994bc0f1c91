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

/// Token ids per sequence.
constexpr std::int64_t inputs_per_sequence(const ModelSpec& spec) { return spec.context; }

/// An mlp predicts one byte per sequence, the others one per position.
constexpr std::int64_t targets_per_sequence(const ModelSpec& spec) {
  return spec.architecture == Architecture::kMlp ? 1 : spec.context;
}

/// Floats at any boundary between two layers.
constexpr std::int64_t boundary_elements(const ModelSpec& spec, int batch) {
  return batch * targets_per_sequence(spec) * spec.width;
}

}  // namespace shardlab
