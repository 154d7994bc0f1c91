#pragma once

#include <vector>

#include "core/plan.h"

namespace shardlab {

/// A forward or backward of one microbatch by one of the shards that a stage's device holds.
struct Pass {
  bool backward = false;
  int chunk = 0;  ///< Which of the device's shards: chunk c of stage s is shard c * stages + s.
  int microbatch = 0;
};

/// In which order the device of stage `stage` (from 0) of `stages` runs its passes of a minibatch.
///
///   gpipe        all forwards, then all backwards (Huang et al., arXiv 1811.06965)
///   one_f_one_b  min(stages - 1 - stage, microbatches) forwards, then one forward and one backward
///                in turn, then the backwards left over (PipeDream-Flush, arXiv 2006.09503)
///   interleaved  the same over `chunks` shards a device, in groups of `stages` microbatches, after
///                2 (stages - 1 - stage) + (chunks - 1) stages forwards (arXiv 2104.04473, §2.2)
///
/// Throws Error for interleaved when `stages` does not divide `microbatches`.
std::vector<Pass> stage_order(Strategy strategy, int stage, int stages, int microbatches,
                              int chunks = 1);

}  // namespace shardlab
