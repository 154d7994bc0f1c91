#pragma once

#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/profile.h"
#include "core/workload.h"
#include "policies/planner.h"
#include "policies/strategy_choice.h"

namespace shardlab {

/// One way to lay out a job: a strategy with its degrees, on a group of so many devices.
struct JobOption {
  StrategyChoice choice{};
  bool recompute = true;
  int devices = 0;  ///< Of the group; 0: its shards run on any device (spill).
  std::vector<bool> recompute_shard = {};  ///< See JobPlan.
  Duration alone{};  ///< All minibatches of the job with nothing beside it, simulated.
};

/// "resident", "one_f_one_b(4,8)", "data_parallel(2,resident)", "spill".
std::string to_string(const JobOption& option);

/// What the job can do on groups of 1, 2, 4, ... devices and of all of them: `spill`, `resident`,
/// data_parallel, one_f_one_b and gpipe with every number of microbatches that divides the batch,
/// and data_parallel around one_f_one_b. Of those with as many devices the two fastest; none that
/// takes longer than one with fewer devices. Activations are kept where they fit, of
/// as many shards as do. By devices, then
/// by time. Microbatches that the profile has no costs for are left out: they are never a share of
/// a larger batch's.
/// Throws Error when the job cannot run in any of these ways.
std::vector<JobOption> job_options(const Job& job, const Cluster& cluster, const Profile& profile,
                                   int slots);

/// The job's part of a plan: on group `group` of the devices, dealt out in the order of their ids.
JobPlan lay_out(const Job& job, const Cluster& cluster, const Profile& profile,
                const JobOption& option, int group, int slots);

}  // namespace shardlab
