#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace shardlab {

/// What one stage of a pipeline spent on one microbatch.
struct PerseusPass {
  Duration load{};  ///< Input or labels, before the forward: first and last stage.
  Duration forward{};
  Duration backward{};
};

/// One iteration, which is one minibatch: all microbatches through all stages and back.
struct PerseusIteration {
  std::vector<PerseusPass> passes;  ///< Stage by stage, in each microbatch by microbatch.
  Duration measured{};              ///< From its begin to the next one's: median over the stages.
};

/// A training run of a pipeline, profiled by Perseus (Chung et al., SOSP 2024), one GPU per stage,
/// synchronous 1F1B. Files: *.prof.json of github.com/ml-energy/zeus.
struct PerseusRun {
  int stages = 0, microbatches = 0;
  std::vector<PerseusIteration> iterations;  ///< Without the first, which is warm-up; at least one.
  int microbatch_size = 0;                   ///< Samples, as the file's name says; 0: it does not.

  [[nodiscard]] const PerseusPass& pass(const PerseusIteration& of, int stage,
                                        int microbatch) const {
    return of.passes.at(static_cast<std::size_t>(stage * microbatches + microbatch));
  }
};

/// A list with one object per stage: `rank`, `iter_time[iteration]`, `time_breakdown` with `load`,
/// `forward` and `backward[iteration][microbatch]`, all in seconds. A stage may load more than once
/// per microbatch. Throws Error that names the key at fault.
PerseusRun parse_perseus(std::string_view text);

/// Also holds the run against its name, "..._dp1_pp4_tp1_mbs8_nmb32...", where it has one: data and
/// tensor parallel runs are refused. Throws Error with the path in front.
PerseusRun read_perseus(const std::string& path);

}  // namespace shardlab
