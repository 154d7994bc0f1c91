#pragma once

#include <algorithm>
#include <vector>

#include "validate/pipeline_replay.h"

namespace shardlab {

/// What PipelineReplay simulates, as a recurrence over ends, sharing no code with it: a pass starts
/// when its stage is free and its neighbour has sent.
inline Duration recurrence(int stages, int microbatches, const PerseusIteration& iteration,
                           const PipelineOverheads& overheads) {
  struct Stage {
    std::vector<Duration> forward, backward;  ///< Ends, microbatch by microbatch.
    Duration free{};
  };
  std::vector<Stage> all(static_cast<std::size_t>(stages));
  const auto count = static_cast<std::size_t>(microbatches);
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t s = 0; s < all.size(); ++s) {
      Stage& stage = all[s];
      const std::size_t f = stage.forward.size(), b = stage.backward.size();
      const bool first = s == 0, last = s + 1 == all.size();
      // One more forward than there are stages after this one, then a backward for each forward.
      const bool forward = f < count && f - b < all.size() - s;
      if (!forward && b == count) continue;
      const std::size_t m = forward ? f : b;
      if (forward ? !first && all[s - 1].forward.size() <= m
                  : !last && all[s + 1].backward.size() <= m) {
        continue;
      }
      const PerseusPass& pass = iteration.passes[s * count + m];
      const bool receives = forward ? !first : !last;
      Duration start = stage.free;
      if (receives)
        start = std::max(start, forward ? all[s - 1].forward[m] : all[s + 1].backward[m]);
      stage.free = start + (receives ? overheads.transfer : Duration{}) +
                   (forward ? pass.load + pass.forward : pass.backward);
      (forward ? stage.forward : stage.backward).push_back(stage.free);
      moved = true;
    }
  }
  Duration end{};
  for (const Stage& stage : all) end = std::max(end, stage.free + overheads.step);
  return end;
}

}  // namespace shardlab
