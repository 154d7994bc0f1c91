#pragma once

#include <string>

#include "core/workload.h"
#include "traces/toml_node.h"

namespace shardlab {

/// What a workload's table `[early_stop]` says of its jobs; curves are not read yet. `max` is the
/// fewest minibatches of any job where it is left out.
///
/// Throws Error naming file, line and key; also when a job has a stop_after too, or fewer
/// minibatches than `max`.
EarlyStop read_early_stop(const toml::node& node, const std::string& origin,
                          const Workload& workload);

}  // namespace shardlab
