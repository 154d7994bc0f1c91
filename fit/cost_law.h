#pragma once

#include <array>
#include <span>

#include "core/profile.h"
#include "fit/layer_work.h"

namespace shardlab {

/// What one device takes, in ns per kernel, per operation and per byte. None is negative.
struct Rates {
  double kernel = 0, flop = 0, byte = 0;

  /// In ns.
  [[nodiscard]] double time(const LayerWork& work) const {
    return kernel * work.kernels + flop * work.flops + byte * work.bytes;
  }
};

/// How the time of a layer grows with batch, width and context on one device, at one precision:
///
///   time = kernel * kernels + flop * FLOPs + byte * bytes
///
/// with rates per kind of layer and phase, by non-negative least squares of relative errors. Few
/// profiles hold a kind and phase in enough sizes to tell three rates apart, so what all other
/// kinds and phases took counts too, with a small weight: it decides where its own does not.
class CostLaw {
 public:
  /// Of models of one precision, measured on one device: all transformers, or all mlps.
  explicit CostLaw(std::span<const ModelProfile* const> measured);

  [[nodiscard]] const Rates& rates(LayerKind kind, Phase phase) const;

 private:
  std::array<std::array<Rates, kPhases.size()>, kLayerKinds.size()> rates_{};
};

}  // namespace shardlab
