#pragma once

#include <string>

#include "traces/job_table.h"
#include "traces/toml_node.h"

namespace shardlab {

/// Lets the jobs that do not say when they arrive come as `[arrivals]` says: a Poisson process, in
/// the order of the list. The gap before a job depends on the seed and its place in the list alone.
///
/// Throws Error naming file, line and key.
void draw_arrivals(const toml::node& arrivals, const std::string& origin, JobList& list);

}  // namespace shardlab
