#pragma once

#include <vector>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/profile.h"
#include "sched/program.h"
#include "sched/shard_cost.h"

namespace shardlab {

/// Lowers a job that runs in several tracks: a pipeline, replicas, or both; `costs` per shard for
/// one microbatch.
///
/// A pipeline has a track per replica and stage, whose passes are in the order of stage_order(). A
/// stage ends its minibatch with a step per shard; with replicas, a reduction comes before it, once
/// all replicas have run that shard's last backward. A shard's passes of a microbatch wait for its
/// neighbours', never for another microbatch but by their place in the track.
///
/// zero_offload has a track per replica, which runs all shards and gathers their parameters from
/// the host. After a backward the gradients are reduced to the replica that owns the shard (s
/// modulo replicas), which steps; the next minibatch's forward waits for that.
///
/// Name, minibatches and arrival are the caller's to fill in.
JobProgram lower_tracks(const JobPlan& plan, const Cluster& cluster, const Profile& profile,
                        std::vector<ShardCost> costs);

}  // namespace shardlab
