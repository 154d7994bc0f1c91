#include "validate/gpt_simulation.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "policies/fifo.h"
#include "sched/lower_tracks.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

/// NVLink, per GPU and direction (NVIDIA's data sheet of the A100 names 600 GB/s for both). Not
/// fitted: too little waits for it, so that its fits scatter from seed to seed and improve nothing.
constexpr double kPeerBytesPerSecond = 300e9;

Cluster machine(std::int64_t devices) {
  Cluster cluster;
  for (std::int64_t d = 0; d < devices; ++d) {
    DeviceSpec device;
    device.name = fmt::format("gpu-{}", d);
    device.peer = LinkSpec{Duration{}, kPeerBytesPerSecond};
    cluster.devices.push_back(std::move(device));
  }
  return cluster;
}

/// One layer per stage, replica by replica on devices of their own.
JobPlan plan_of(const ParallelLayout& layout) {
  JobPlan plan;
  plan.strategy = Strategy::kOneFOneB;
  plan.recompute = false;
  plan.microbatches = static_cast<int>(layout.microbatches());
  plan.replicas = static_cast<int>(layout.data);
  for (int s = 0; s < layout.pipeline; ++s) plan.first_layer.push_back(s);
  for (std::int64_t d = 0; d < layout.devices(); ++d) {
    plan.device.push_back(device_id(static_cast<std::size_t>(d)));
  }
  return plan;
}

/// As the lowering wants them. Memory has no limit here: only what moves has a size.
std::vector<ShardCost> shard_costs(const VtrainRow& row, const GptCost& cost) {
  std::vector<ShardCost> shards;
  for (const GptStageCost& stage : gpt_stage_costs(row.gpt, row.layout, cost)) {
    ShardCost shard;
    shard.parameters = shard.backward_workspace = stage.gradients;
    shard.output = gpt_boundary_bytes(row.gpt, row.layout);
    shard.alone = shard.loaded = {stage.forward, stage.forward, stage.backward, stage.step};
    shards.push_back(shard);
  }
  shards.back().output = 0;
  return shards;
}

}  // namespace

double simulated_minibatch_s(const VtrainRow& row, const GptCost& cost) {
  const Cluster cluster = machine(row.layout.devices());
  Program program;
  program.jobs.push_back(
      lower_tracks(plan_of(row.layout), cluster, Profile{}, shard_costs(row, cost)));
  program.jobs.front().minibatches = 1;
  connect(program.jobs.front());
  expect(program.jobs.front(), false);
  Fifo policy(track_count(program));
  EstimatedCosts costs(program);
  return seconds(simulate(program, cluster, policy, costs, nullptr).makespan);
}

}  // namespace shardlab
