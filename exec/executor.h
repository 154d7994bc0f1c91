#pragma once

#include <vector>

#include "core/checkpoint.h"
#include "core/cluster.h"
#include "core/workload.h"
#include "exec/execution.h"
#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

/// Trains the workload for real: every device of the cluster is a thread with a memory budget of
/// its own, copies between host and device memory are memory copies paced by the cluster's links.
///
/// `program` is the lowered plan whose partition is `first_layers` per job. Throws Error on what
/// cannot fit, on missing data, and on the first failure of a lane that is not one job's alone.
RunResult run(const Workload& workload, const Cluster& cluster, const Program& program,
              const std::vector<std::vector<int>>& first_layers, Policy& policy,
              const RunOptions& options);

}  // namespace shardlab
