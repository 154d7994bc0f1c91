#pragma once

#include <span>
#include <vector>

#include "core/profile.h"
#include "fit/layer_work.h"

namespace shardlab {

/// A measured size that a guess starts from, and how much of it is taken.
struct Anchor {
  const ModelProfile* model = nullptr;
  double weight = 1;
};

/// How much memory the layers of one size need. Parameters, state and outputs are known exactly.
/// What a pass needs beside them is, in models/, a + k * batch: activations, and what has the size
/// of the parameters. (A backward's is cut off at 0.) So two batches of one width and context give
/// it exactly. From a single size it is an upper bound over what `a` can be: nothing, parameters
/// that autocast keeps in bf16, or, in a backward, less than nothing by as much as the parameters.
class ByteFit {
 public:
  /// Requires: `measured` and `anchors` comparable with `shape`, at least one anchor; `shape` and
  /// the models outlive it.
  ByteFit(std::span<const ModelProfile* const> measured, const std::vector<Anchor>& anchors,
          const Shape& shape);

  /// All sizes of a layer of this kind; times are left alone.
  void set_bytes(LayerKind kind, LayerCost& layer) const;

 private:
  [[nodiscard]] Bytes on_line(LayerKind kind, Bytes LayerCost::*member) const;
  [[nodiscard]] Bytes bound(LayerKind kind, Bytes LayerCost::*member) const;

  const Shape& shape_;
  const ModelProfile* near_;
  const ModelProfile* far_ = nullptr;  ///< Of the same size at another batch, if there is one.
};

}  // namespace shardlab
