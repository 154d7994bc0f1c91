#pragma once

#include "core/bytes.h"
#include "core/cluster.h"
#include "sched/program.h"

namespace shardlab {

/// Replicas share parameters and state in host memory (zero_offload): one of them steps a shard,
/// with the gradients that the others hand in there.
inline bool gathers(const JobProgram& job) { return !job.tracks.empty() && !job.held; }

/// Whether a run has an array for the item in host memory.
bool in_host_memory(const JobProgram& job, const Item& item);

/// Whether it has a second one there, for the version that comes next.
bool has_second_version(const JobProgram& job, const Item& item);

/// What a run takes of host memory. A simulation counts each item once; a run writes versions
/// beside the current ones, so that a device may be lost at any moment.
struct HostNeed {
  Bytes current = 0;    ///< One of every item.
  Bytes second = 0;     ///< Next versions of parameters and state.
  Bytes snapshots = 0;  ///< Parameters and state at a border, from the first snapshot on.

  [[nodiscard]] Bytes all() const { return current + second + snapshots; }
};

/// `snapshots`: jobs are kept at borders of their minibatches.
HostNeed host_need(const Program& program, bool snapshots);

/// Throws Error that tells all three where the cluster's host memory holds less.
void refuse_too_little_host(const Program& program, const Cluster& cluster, bool snapshots);

}  // namespace shardlab
