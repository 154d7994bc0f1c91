#pragma once

#include "core/cluster.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/workload.h"
#include "sched/program.h"

namespace shardlab {

/// Turns a plan into units and items, with the profile's costs.
///
/// A minibatch of K shards is F0 .. F(K-2), the last shard's forward and backward fused, B(K-2) ..
/// B0: 2K-1 units (Hydra, arXiv 2110.08633 §4). A backward repeats its shard's forward and ends
/// with the optimizer step. Where JobPlan::recomputes() is false of a shard, its forward leaves its
/// graph on the device instead. Shards in which nothing trains, and nothing below, have no
/// backward; their forward is the last to read its input. See job_profile() for what is frozen.
///
/// Throws Error when plan and workload do not match, when a partition is no partition of the
/// model's layers, when the profile lacks a model, or when times or sizes add up beyond the clock.
Program lower(const Workload& workload, const Cluster& cluster, const Profile& profile,
              const Plan& plan);

}  // namespace shardlab
