#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/ids.h"
#include "core/time.h"
#include "core/timeline.h"

namespace shardlab {

/// How one job is laid out; fixes the order within the job.
enum class Strategy : std::uint8_t {
  kSpill,          ///< Shards in host memory, any device runs them.
  kResident,       ///< The whole model on one device.
  kModelParallel,  ///< Shards bound to devices, one unit of the job at a time.
  kGpipe,          ///< A pipeline: all forwards of a minibatch, then all backwards.
  kOneFOneB,       ///< A pipeline: a backward as soon as there is one, so fewer live microbatches.
  kInterleaved,    ///< The same with several shards a device, dealt out in turn.
  kZeroOffload,    ///< Replicas that gather each shard's parameters from the host, one device each.
};

/// Where the optimizer of a shard steps.
enum class StepPlace : std::uint8_t {
  kDevice,   ///< As part of the backward, or after it.
  kHost,     ///< In host memory, when the gradient has come there.
  kCheaper,  ///< Shard by shard; see sched/step_place.h.
};

/// A job is cut into shards, a minibatch into microbatches; replicas each take their share of the
/// minibatch and add up their gradients before the step.
struct JobPlan {
  Strategy strategy = Strategy::kSpill;
  std::vector<int> first_layer;  ///< Per shard, ascending, starting with 0.
  /// Replica by replica one per shard, where shards are bound; one per replica for kZeroOffload.
  std::vector<DeviceId> device;
  bool recompute = true;  ///< false: a forward keeps its graph on the device until its backward.
  int microbatches = 1;   ///< Of one replica's share of a minibatch.
  int replicas = 1;
  std::vector<bool> recompute_shard = {};  ///< Per shard, where they differ; else empty.
  StepPlace step = StepPlace::kCheaper;

  [[nodiscard]] int shards() const { return static_cast<int>(first_layer.size()); }
  [[nodiscard]] bool recomputes(int shard) const {
    return recompute_shard.empty() ? recompute : recompute_shard[static_cast<std::size_t>(shard)];
  }
  /// Of any shard.
  [[nodiscard]] bool keeps_graphs() const {
    if (recompute_shard.empty()) return !recompute;
    return std::find(recompute_shard.begin(), recompute_shard.end(), false) !=
           recompute_shard.end();
  }
};

constexpr bool pipelined(Strategy strategy) {
  return strategy == Strategy::kGpipe || strategy == Strategy::kOneFOneB ||
         strategy == Strategy::kInterleaved;
}
/// The units of a minibatch run one after another: no pipeline, no replicas.
constexpr bool is_chain(Strategy strategy, int replicas) {
  return !pipelined(strategy) && strategy != Strategy::kZeroOffload && replicas == 1;
}
/// A step adds up more than one backward's gradients, so it is a unit of its own.
constexpr bool sums_gradients(const JobPlan& plan) { return plan.microbatches * plan.replicas > 1; }
/// Whether a plan says on which device a shard lies.
constexpr bool binds(Strategy strategy) {
  return pipelined(strategy) || strategy == Strategy::kModelParallel;
}
/// How many devices a plan of this many shards and replicas must name.
constexpr int devices_named(const JobPlan& plan) {
  if (plan.strategy == Strategy::kZeroOffload) return plan.replicas;
  const bool bound = binds(plan.strategy) || plan.replicas > 1;
  return bound ? plan.replicas * static_cast<int>(plan.first_layer.size()) : 0;
}

constexpr int kMostSlots = 64;
constexpr int kMostParts = 4096;  ///< Microbatches of a minibatch, or replicas of a job.

/// When a job's state is kept: at a border of its minibatches. Never, where both are 0.
struct CheckpointRule {
  std::int64_t minibatches = 0;  ///< After every so many of the job's;
  Duration every{};              ///< or at the next border each time that so long has passed.

  [[nodiscard]] bool any() const { return minibatches > 0 || every > Duration{}; }
};

/// A claim of a device, as the order of a plan has it.
struct OrderedUnit {
  DeviceId device{};
  JobId job{};
  std::int64_t minibatch = 0;
  std::uint32_t unit = 0;   ///< Index into the units of one minibatch.
  Instant claim{};          ///< It is not claimed before.
  Turn turn{};              ///< Nor before it at that instant.
  bool ahead = true;        ///< It may be claimed while its predecessor runs.
  bool given_back = false;  ///< Only its data came; another claim runs it.
  bool kept = false;        ///< What it changes stays there, see Policy::keeps().
  bool operator==(const OrderedUnit&) const = default;
};

/// Policy of plans that have an order, see policies/replay.h.
inline constexpr const char* kReplay = "replay";

/// Partition and strategy per job, and the policy between jobs.
struct Plan {
  std::string name;  ///< "spill/lrtf", for tables.
  std::vector<JobPlan> jobs;
  std::string policy = "lrtf";
  std::uint64_t seed = 1;  ///< Of policies that draw.
  int admit = 0;           ///< How many jobs run at once; 0: all.
  /// Units claimed at once per device: 1, or 1 + n with n-deep buffering; at most kMostSlots. Of
  /// devices that do not say themselves, see DeviceSpec::slots().
  int slots = 2;
  CheckpointRule checkpoints = {};
  /// Under policy `replay`: all claims, each device's in its order.
  std::vector<OrderedUnit> order = {};
  std::vector<Eviction> evicted = {};  ///< Likewise, what its policy let go.
  Duration makespan{};                 ///< Likewise, of that run; 0: not known.
  /// Likewise: resident jobs stay where their first claim is, not where the Driver would put them.
  bool places = true;
};

std::string to_string(Strategy strategy);  ///< "spill", "one_f_one_b"
Strategy parse_strategy(const std::string& name);
std::string to_string(StepPlace place);  ///< "device", "host", "cheaper"
StepPlace parse_step_place(const std::string& name);

}  // namespace shardlab
