#pragma once

#include <vector>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/workload.h"
#include "sched/shard_cost.h"

namespace shardlab {

/// Sequences of a minibatch of `batch` that one microbatch of one replica takes. Throws Error when
/// they are no whole number.
int microbatch_size(int batch, int microbatches, int replicas);

/// What every shard of the job costs at the plan's partition, for one microbatch of one replica:
/// by the profile's entry for that batch, never by a share of another's.
///
/// Throws Error when the partition is none, microbatches and replicas do not divide the batch, the
/// plan names wrong devices or contradicts itself, or the profile lacks the model at that batch.
std::vector<ShardCost> cut(const Job& job, const JobPlan& plan, const Cluster& cluster,
                           const Profile& profile);

}  // namespace shardlab
