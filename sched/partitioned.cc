#include "sched/partitioned.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "core/error.h"
#include "sched/job_profile.h"
#include "sched/limits.h"

namespace shardlab {
namespace {

void refuse_no_partition(const Job& job, const JobPlan& plan, int layers) {
  const auto& first = plan.first_layer;
  const bool ascending =
      std::adjacent_find(first.begin(), first.end(), std::greater_equal<>()) == first.end();
  if (first.empty() || first.front() != 0 || !ascending || first.back() >= layers) {
    throw Error(
        fmt::format("{}: shards must start at ascending layers from 0 below {}", job.name, layers));
  }
  constexpr std::size_t kMostShards = 400;
  if (first.size() > kMostShards) {
    throw Error(
        fmt::format("{}: {} shards, at most {} are possible", job.name, first.size(), kMostShards));
  }
}

void refuse_contradictions(const Job& job, const JobPlan& plan) {
  if (plan.strategy == Strategy::kSpill && plan.keeps_graphs()) {
    throw Error(job.name + ": spill cannot keep activations; let it recompute them");
  }
  const std::size_t said = plan.recompute_shard.size();
  if (said != 0 && said != plan.first_layer.size()) {
    throw Error(fmt::format("{}: says of {} shards whether they recompute, but has {}", job.name,
                            said, plan.shards()));
  }
  if (plan.strategy == Strategy::kSpill && plan.replicas > 1) {
    throw Error(job.name + ": replicas of spill share its parameters: that is zero_offload");
  }
  if (plan.microbatches > 1 && !pipelined(plan.strategy)) {
    throw Error(fmt::format("{}: {} has no microbatches; gpipe, one_f_one_b and interleaved do",
                            job.name, to_string(plan.strategy)));
  }
}

void refuse_devices(const Job& job, const JobPlan& plan, const Cluster& cluster) {
  const auto wanted = static_cast<std::size_t>(devices_named(plan));
  if (plan.device.size() != wanted) {
    throw Error(fmt::format("{}: {} of {} shards and {} replicas names {} devices, not {}",
                            job.name, to_string(plan.strategy), plan.shards(), plan.replicas,
                            wanted, plan.device.size()));
  }
  for (std::size_t i = 0; i < plan.device.size(); ++i) {
    if (index(plan.device[i]) < cluster.devices.size()) continue;
    throw Error(fmt::format("{}: device {}: the cluster has no device {}", job.name, i,
                            index(plan.device[i])));
  }
}

}  // namespace

int microbatch_size(int batch, int microbatches, int replicas) {
  if (batch % (microbatches * replicas) == 0) return batch / (microbatches * replicas);
  throw Error(fmt::format("batch {} is no multiple of {} microbatches in {} replicas", batch,
                          microbatches, replicas));
}

std::vector<ShardCost> cut(const Job& job, const JobPlan& plan, const Cluster& cluster,
                           const Profile& profile) {
  if (plan.microbatches < 1 || plan.replicas < 1) {
    throw Error(job.name + ": a job has at least one microbatch and one replica");
  }
  const int batch = in_context(
      job.name, [&] { return microbatch_size(job.batch, plan.microbatches, plan.replicas); });
  if (job.model.batch_norm && batch < 2) {
    throw Error(job.name + ": batch norm needs two sequences in a microbatch; take fewer parts");
  }
  const auto entry = in_context(job.name, [&] { return job_profile(profile, job, batch); });
  const ModelProfile& model = *entry;
  const int layers = static_cast<int>(model.layers.size());
  refuse_absurd(job, model);
  refuse_no_partition(job, plan, layers);
  refuse_contradictions(job, plan);
  refuse_devices(job, plan, cluster);
  std::vector<ShardCost> costs;
  for (std::size_t s = 0; s < plan.first_layer.size(); ++s) {
    const bool last = s + 1 == plan.first_layer.size();
    costs.push_back(
        shard_cost(model, plan.first_layer[s], last ? layers : plan.first_layer[s + 1]));
  }
  return costs;
}

}  // namespace shardlab
