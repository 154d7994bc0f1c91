#pragma once

#include <vector>

#include "core/plan.h"
#include "sched/program.h"
#include "sched/shard_cost.h"

namespace shardlab {

/// What a job that runs in several tracks keeps in memories, and where each item stands in
/// JobProgram::items. Replica by replica: parameters, state, weight gradients and (if any) frozen
/// parameters of all shards; then per microbatch activations, gradients and graphs. What
/// zero_offload shares lies with replica 0.
class TrackItems {
 public:
  /// Requires: the plan to outlive it; `costs` per shard for one microbatch.
  TrackItems(const JobPlan& plan, std::vector<ShardCost> costs);

  [[nodiscard]] ItemIndex index_of(ItemKind kind, int replica, int microbatch, int shard) const;
  [[nodiscard]] std::vector<Item> all() const;

  [[nodiscard]] const ShardCost& cost(int shard) const {
    return costs_[static_cast<std::size_t>(shard)];
  }
  [[nodiscard]] DeviceId device(int replica, int shard) const {
    const int at = gathers_ ? replica : replica * shards_ + shard;
    return plan_.device[static_cast<std::size_t>(at)];
  }
  /// Which replica of zero_offload steps the shard.
  [[nodiscard]] int owner(int shard) const { return shard % plan_.replicas; }
  /// What gradients take that are added up, where the shard steps.
  [[nodiscard]] Bytes sum_of_gradients(int shard) const {
    return sums_gradients(plan_) && cost(shard).steps() ? cost(shard).parameters : 0;
  }

 private:
  [[nodiscard]] Item make(ItemKind kind, int replica, int microbatch, int shard) const;

  const JobPlan& plan_;
  std::vector<ShardCost> costs_;
  int shards_;
  bool gathers_;
  bool frozen_;  ///< Some parameters are, and have items of their own.
};

}  // namespace shardlab
