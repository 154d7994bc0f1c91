#pragma once

#include <cstdint>

#include "planning/evaluation.h"
#include "planning/joint_plan.h"

namespace shardlab {

/// The plan with other cuts for the jobs that spill: how many shards, and where they begin, by
/// simulated makespan. First every number of shards from the fewest that fit, balanced under the
/// memory that a slot has; then single cuts are moved, added or taken out while that helps. Jobs of
/// one model, batch and optimizer are cut alike. Never a slower plan than `start`; the same seed
/// and number of evaluations give the same one.
/// Requires: `start` can run.
Plan search_partition(Evaluator& evaluator, const Plan& start, std::int64_t evaluations,
                      std::uint64_t seed, const SearchProgress& progress);

}  // namespace shardlab
