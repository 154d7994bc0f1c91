#pragma once

#include <string>
#include <vector>

#include "planning/joint_plan.h"

namespace shardlab {

/// A stretch of a run under one plan.
struct PlanPhase {
  std::vector<std::size_t> jobs;  ///< Which of the workload are left, by their index there.
  Workload workload;              ///< Those, with the minibatches that are left of them.
  JointPlan joint;
  Duration from{}, to{};
  std::vector<std::size_t> stopped;  ///< Whose early end begins the next phase.
};

struct Replanned {
  std::vector<PlanPhase> phases;
  Duration predicted{};  ///< Of all phases.
  Duration unchanged{};  ///< Under the first plan to the end.
};

/// Plans the workload as if no job stopped early, and anew for those that are left whenever jobs
/// were stopped and everything then ends earlier than if the run just went on. Who is stopped, and
/// after how many minibatches, is what the first plan's simulation with the workload's tuner says;
/// plans do not know it beforehand. A new plan begins once devices have written back what they hold
/// at that instant: minibatches under way begin anew under it, from checkpoints of their borders,
/// and weights move to their devices again. So `predicted` is at most `unchanged`. Throws Error
/// where a phase has too many units to look at.
Replanned plan_with_stops(const Workload& workload, const Cluster& cluster, const Profile& profile,
                          const JointSearch& search, const SearchProgress& progress);

}  // namespace shardlab
