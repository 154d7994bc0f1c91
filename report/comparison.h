#pragma once

#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/time.h"
#include "core/timeline.h"
#include "report/drawing.h"
#include "sched/program.h"

namespace shardlab {

/// Where measured − predicted comes from, by replacing one input of the simulation at a time:
///
///     predicted   the profile's costs, the policy decides
///     + profile   ... with the median measured time of each kind of unit and copy
///     + contention   ... with each unit's and copy's own measured time
///     + decisions   ... with the decisions of the measured run
///     + dispatch   = measured: what no unit and no copy accounts for
struct ErrorSplit {
  Duration profile{};
  Duration contention{};
  Duration decisions{};
  Duration dispatch{};

  /// Measured − predicted, exactly.
  [[nodiscard]] Duration sum() const { return profile + contention + decisions + dispatch; }
};

/// One plan, predicted and measured.
struct Comparison {
  Timeline predicted;
  Timeline measured;
  Timeline replayed;  ///< The measured decisions and times, simulated: its makespan is near the
                      ///< measured.
  ErrorSplit split;
  Duration naive{};        ///< See naive_estimate().
  Duration lower_bound{};  ///< See Bounds.
  std::string bound_by;    ///< Which of them.
  std::string note;        ///< What was left out of the comparison, if anything.

  /// Measured / predicted − 1.
  [[nodiscard]] double error() const;
  [[nodiscard]] double naive_error() const;
  /// Predicted over the lower bound, less 1; 0 without one.
  [[nodiscard]] double gap() const;
};

/// Compares a run with its prediction. `program` is `plan`, lowered. A job that was stopped counts
/// with the minibatches that it completed, in the prediction too. Throws Error when the timeline is
/// not one of this program and cluster, or the run was interrupted.
Comparison compare(const Program& program, const Cluster& cluster, const Plan& plan,
                   const Timeline& measured);

/// Everything for a terminal: makespans, error split, utilization, bytes moved and both drawings.
std::string comparison_text(const Comparison& comparison, const DrawingOptions& options);

}  // namespace shardlab
