#pragma once

#include <vector>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/workload.h"
#include "sched/shard_cost.h"

namespace shardlab {

/// Which shards of a job step on the host, as its plan says; empty: none does.
///
/// `cheaper`, for every shard: on the host where that takes less time of the profile and of the
/// links, added up over all devices that may run it. On a device: the step, and where it spills
/// state there and back and parameters back; bound, it keeps them. On the host: the step, and the
/// gradient back; bound, also the parameters there. A device of kind "cpu" has the host's own
/// cores, so no shard of it steps on the host; nor does one of which the profile does not know it,
/// or of a job or cluster for which `host` would be refused.
///
/// Throws Error where the plan says `host` and the strategy has no such step, or nodes or a disk
/// would have to bring state to it, or the profile does not know what it takes.
std::vector<bool> host_steps(const Job& job, const JobPlan& plan, const Cluster& cluster,
                             const Profile& profile, const std::vector<ShardCost>& costs);

}  // namespace shardlab
