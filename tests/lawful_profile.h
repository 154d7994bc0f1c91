#pragma once

#include <cmath>

#include "fit/cost_law.h"
#include "fit/layer_work.h"

namespace shardlab {

/// A device whose times follow one law exactly: 5 us a kernel, 10 TFLOP/s, 500 GB/s.
constexpr Rates kLawful{5e3, 1e-4, 2e-3};

/// What it would measure. Bytes as in models/: activations, and parameters that bf16 keeps.
inline ModelProfile lawful(const Shape& shape, const Rates& rates = kLawful) {
  ModelProfile made;
  made.model = shape.model;
  made.batch = shape.batch;
  made.optimizer = shape.optimizer;
  for (int i = 0; i < shape.layers(); ++i) {
    const LayerKind kind = kind_of(shape.model, i);
    LayerCost layer;
    layer.name = i == 0 ? "embedding" : i <= shape.model.layers ? "block" : "head";
    for (const Phase phase : kPhases) {
      const double ns = rates.time(layer_work(shape, kind, phase));
      of(layer.alone, phase) = {Duration{std::llround(ns)}, {}, 5, std::nullopt};
      of(layer.loaded, phase) = {Duration{std::llround(1.1 * ns)}, {}, 5, std::nullopt};
    }
    const Bytes own = parameter_bytes(shape.model, kind);
    const auto activation = static_cast<Bytes>(4 * shape.model.width * shape.vectors());
    layer.parameters = own;
    layer.state = own * state_factor(shape.optimizer);
    layer.output = output_bytes(shape, kind);
    layer.saved = 15 * activation + (shape.model.precision == Precision::kBf16 ? own / 2 : 0);
    layer.forward_workspace = 9 * activation;
    layer.backward_workspace = std::max<Bytes>(0, 3 * activation - own);
    made.layers.push_back(layer);
  }
  return made;
}

}  // namespace shardlab
