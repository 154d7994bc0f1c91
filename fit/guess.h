#pragma once

#include <span>

#include "core/profile.h"
#include "fit/cost_law.h"
#include "fit/layer_work.h"

namespace shardlab {

/// Costs of a size that was not measured, and how far the law could be pushed.
struct Guess {
  ModelProfile costs;
  /// Of a minibatch, over what was guessed: any law of this form that passes through the nearest
  /// measured sizes lies between.
  double least = 1, most = 1;
  /// From the nearest measured size, in doublings of a block's operations.
  double distance = 0;
};

/// Times: the law's, times what the nearest measured size takes over the law; between two measured
/// batches of the same width and context, in proportion to the logarithm of the batch. Layer by
/// layer: embedding from embedding, last block from last block, others from the same block or the
/// one in the middle. `loaded` is `alone` by the median over layers of what they took loaded.
///
/// Bytes: of parameters, state and outputs as models/ has them. What passes need beside them is a
/// line in the batch where two batches were measured, else an upper bound (docs/design.md, Fits).
///
/// Throws Error when nothing comparable was measured.
Guess guess(std::span<const ModelProfile* const> measured, const CostLaw& law, const Shape& shape);

/// All phases of all layers alone, in ns.
double minibatch_time(const ModelProfile& model);

}  // namespace shardlab
