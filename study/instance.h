#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/workload.h"
#include "traces/study_file.h"

namespace shardlab {

/// A setting of a grid.
struct StudyCell {
  DrawnJobs jobs;
  DrawnDevices devices;
  DrawnTransfer transfer;
  int slots = 1;
  int memory = 1;  ///< Largest units for which a device has room, where there are transfers.

  /// "2", or "2 in 8" with more memory than slots.
  [[nodiscard]] std::string slots_name() const;
  /// "heterogeneous/mixed/shared 0.5/2 in 8".
  [[nodiscard]] std::string name() const;
};

/// Memory varies fastest, jobs slowest. Less memory than slots is left out, and without transfers
/// there is no memory.
std::vector<StudyCell> cells(const StudyGrid& grid);

/// All that `simulate` reads. The plan's policy is the default one.
struct StudyInstance {
  Workload workload;
  Cluster cluster;
  Profile profile;
  Plan plan;
};

/// Draws the cell's instance of this number (from 1).
///
/// Each number is a function of (seed, instance, job, shard, what it is) alone (core/counter_hash):
/// jobs are the same on all devices, by all transfers and with all slots, under every policy, and
/// whatever else is in the grid. `equal` jobs are draws of job 0.
///
/// A job's shards are single layers under `spill`, its costs the same alone and beside others. Its
/// time T, minibatches B and shards K are drawn; a forward takes 1 ± spread and a backward b times
/// 1 ± spread shares of T, with what it repeats. Parameters take load times T / (2K-1)B on the
/// link, ± spread; an activation is a sixteenth of their mean. No optimizer state. Copies run
/// beside computing, in both directions. A device has room for `memory` of the largest unit.
StudyInstance draw_instance(const StudyCell& cell, std::uint64_t seed, std::int64_t instance);

}  // namespace shardlab
