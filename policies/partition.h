#pragma once

#include <vector>

#include "core/bytes.h"
#include "core/profile.h"
#include "core/time.h"

namespace shardlab {

/// First layers of shards that each fit `limit`: layer by layer, a shard grows while its peak (see
/// ShardCost::peak) stays within it. Source: Algorithm 1 of "Hydra" (arXiv 2110.08633), on profiled
/// bytes where Hydra runs the layers until memory is exhausted.
/// Throws Error naming layer, bytes needed and available when one layer alone does not fit.
std::vector<int> greedy(const ModelProfile& model, Bytes limit);

/// First layers of `shards` shards that each fit `limit` and whose longest takes the least time, by
/// dynamic programming. Of equally good partitions the one whose last cuts come first.
/// Throws Error when the model has fewer layers, `shards` is below 1, or so many do not fit.
std::vector<int> balanced(const ModelProfile& model, int shards, Bytes limit = kUnlimited);

/// What layers [first, last) take for one minibatch when no other device computes: forward,
/// recompute, backward and step.
Duration shard_time(const ModelProfile& model, int first, int last);

}  // namespace shardlab
