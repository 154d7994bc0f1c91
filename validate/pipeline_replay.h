#pragma once

#include "core/cluster.h"
#include "core/time.h"
#include "sched/program.h"
#include "traces/perseus_file.h"

namespace shardlab {

/// What takes time in a pipeline beside the passes of its stages. Per machine, not negative.
struct PipelineOverheads {
  /// Per activation or gradient that a stage gets from a neighbour: the stage waits for it, then
  /// spends this before it computes. Blocking sends and receives do not overlap with computing.
  Duration transfer{};
  /// Per iteration and stage, after its last backward: the optimizer's step, and all that happens
  /// once per iteration.
  Duration step{};
};

/// One iteration of a 1F1B pipeline, simulated with the time that each of its passes took: a device
/// per stage, a track per device, units that wait for those of neighbouring stages.
///
///   stage 0  F0 F1 .. B0 F2 B1 B2 step
///   stage 1  .. F0 B0 F1 B1 F2 B2 step        F: load and forward, B: backward
class PipelineReplay {
 public:
  /// Throws Error when there is no stage or no microbatch.
  PipelineReplay(int stages, int microbatches);

  /// From the first pass to the end of the last step. `iteration` has the stages and microbatches
  /// of this. May be called by several threads.
  [[nodiscard]] Duration simulated(const PerseusIteration& iteration,
                                   const PipelineOverheads& overheads) const;

 private:
  int microbatches_;
  Cluster cluster_;
  Program program_;
};

}  // namespace shardlab
