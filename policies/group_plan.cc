#include "policies/group_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "policies/partition.h"
#include "sched/job_profile.h"
#include "sched/partitioned.h"

namespace shardlab {
namespace {

/// Devices of one replica.
int stages_of(const StrategyChoice& choice, int devices) {
  const bool spread = pipelined(choice.strategy) || choice.strategy == Strategy::kModelParallel;
  if (!spread) return 1;
  return choice.stages > 0 ? choice.stages : std::max(1, devices / choice.replicas);
}

int shards_of(const StrategyChoice& choice, const ModelProfile& model, int stages) {
  if (choice.strategy == Strategy::kZeroOffload) return static_cast<int>(model.layers.size());
  return stages * choice.chunks;
}

}  // namespace

JobPlan plan_on_group(const Job& job, std::size_t number, const Cluster& cluster,
                      const Profile& profile, const StrategyChoice& choice, bool recompute) {
  const int devices = static_cast<int>(cluster.devices.size());
  const int stages = stages_of(choice, devices);
  const int wanted = stages * choice.replicas;
  if (wanted > devices) {
    throw Error(
        fmt::format("{} needs {} devices, the cluster has {}", to_string(choice), wanted, devices));
  }
  const int batch = in_context(to_string(choice), [&] {
    return microbatch_size(job.batch, choice.microbatches, choice.replicas);
  });
  const auto entry = job_profile(profile, job, batch);
  const ModelProfile& model = *entry;
  JobPlan plan;
  plan.strategy = choice.strategy;
  plan.first_layer = balanced(model, shards_of(choice, model, stages));
  plan.recompute = recompute;
  plan.microbatches = choice.microbatches;
  plan.replicas = choice.replicas;
  const std::size_t group = number % static_cast<std::size_t>(devices / wanted);
  const std::size_t first = group * static_cast<std::size_t>(wanted);
  const bool per_shard = choice.strategy != Strategy::kZeroOffload;
  for (int r = 0; r < choice.replicas; ++r) {
    for (int s = 0; s < (per_shard ? plan.shards() : 1); ++s) {
      plan.device.push_back(device_id(first + static_cast<std::size_t>(r * stages + s % stages)));
    }
  }
  return plan;
}

}  // namespace shardlab
