#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/workload.h"
#include "policies/strategy_choice.h"

namespace shardlab {

/// How a job that spills is cut; all others are balanced.
enum class Partitioner : std::uint8_t {
  kGreedy,    ///< As Hydra does: shards as large as they fit.
  kBalanced,  ///< As many, the longest as short as it can be.
};

/// What one may ask for; the partition follows from profile and cluster.
struct PlanChoice {
  StrategyChoice strategy{};
  std::string policy = "lrtf";
  int slots = 2;
  int admit = 0;
  bool recompute = true;
  std::uint64_t seed = 1;
  std::string name{};                              ///< Empty: see describe().
  Partitioner partitioner = Partitioner::kGreedy;  ///< Of spill.
  StepPlace step = StepPlace::kCheaper;
};

/// "spill/lrtf", "model_parallel/lrtf/admit=1/keep": what differs from the usual is named.
std::string describe(const PlanChoice& choice);

/// What a search for a plan's order (planning/search.h) found out beside the plan.
struct OrderFound {
  std::int64_t evaluations = 0;  ///< Runs simulated.
  Duration sharp{};              ///< The makespan under sharp, from which it began.
  std::string policy;            ///< Of the policies with which it began, the best.
  Duration bound{};  ///< No run is shorter; 0: not known, as the order decides what runs.
  bool proved_optimal = false;  ///< The order's makespan is the bound.
};

struct PlannedChoice {
  PlanChoice choice;
  std::optional<Plan> plan;  ///< Nothing when it cannot fit.
  std::string note;          ///< What one should know of the plan, or why there is none.
  bool interrupted = false;  ///< The search for it, which would have found better ones.
  std::optional<OrderFound> search = {};  ///< Of policy search.
};

/// What a shard may take that spills: the least of budget / slots of any device, as every claimed
/// unit reserves all its memory. `slots`: of devices that do not say themselves.
Bytes room_per_slot(const Cluster& cluster, int slots);

/// The plan of one choice for all jobs.
///   spill           by its partitioner, for room_per_slot()
///   resident        one shard
///   model_parallel  as many balanced shards as devices, shard s bound to device s. Where a shard
///                   does not fit its device, 2, 3, ... shards per device, neighbours on one
///                   device, so that they spill within it
///   all others      see plan_on_group()
/// Throws Error naming job, shard or layer, bytes needed and available when a job can never fit,
/// and on a choice that contradicts itself.
Plan make_plan(const Workload& workload, const Cluster& cluster, const Profile& profile,
               const PlanChoice& choice);

/// The same for many; one that cannot fit has its reason in `note`.
/// Throws Error when there is only one and it cannot fit, or none of them can.
std::vector<PlannedChoice> make_plans(const Workload& workload, const Cluster& cluster,
                                      const Profile& profile,
                                      const std::vector<PlanChoice>& choices);

/// All usual policies with spill; model_parallel one job at a time with recomputation (the paper's
/// baseline), one at a time keeping activations, and all jobs at once; resident.
std::vector<PlanChoice> usual_choices(int slots = 2, std::uint64_t seed = 1);

}  // namespace shardlab
