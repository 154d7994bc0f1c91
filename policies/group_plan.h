#pragma once

#include "core/cluster.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/workload.h"
#include "policies/strategy_choice.h"

namespace shardlab {

/// The plan of one job on a group of devices of its own: a pipeline, replicas, or both. Devices are
/// dealt out to groups as large as the strategy needs, in the order of their ids; job `number` gets
/// group `number` modulo their count, so that jobs run side by side where there are devices enough.
/// Shards are balanced by the profile's times at the batch of a microbatch.
///
/// Throws Error when the strategy needs more devices than there are, or the profile lacks that
/// batch.
JobPlan plan_on_group(const Job& job, std::size_t number, const Cluster& cluster,
                      const Profile& profile, const StrategyChoice& choice, bool recompute);

}  // namespace shardlab
