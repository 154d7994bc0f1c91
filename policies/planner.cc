#include "policies/planner.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "policies/group_plan.h"
#include "policies/partition.h"
#include "policies/registry.h"
#include "sched/job_profile.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "sched/shard_cost.h"

namespace shardlab {
namespace {

JobPlan spill(const ModelProfile& model, const Cluster& cluster, const PlanChoice& choice) {
  JobPlan plan{Strategy::kSpill, {}, {}, true};
  const bool own = std::ranges::any_of(
      cluster.devices, [](const DeviceSpec& device) { return device.buffer_slots.has_value(); });
  plan.first_layer =
      in_context(fmt::format("spill with {} slot{} per device{}", choice.slots,
                             choice.slots == 1 ? "" : "s", own ? " that has no buffer_slots" : ""),
                 [&] {
                   const Bytes limit = room_per_slot(cluster, choice.slots);
                   std::vector<int> firsts = greedy(model, limit);
                   if (choice.partitioner == Partitioner::kGreedy) return firsts;
                   return balanced(model, static_cast<int>(firsts.size()), limit);
                 });
  return plan;
}

JobPlan bind(const ModelProfile& model, int devices, int per_device, bool recompute) {
  JobPlan plan{Strategy::kModelParallel, balanced(model, devices * per_device), {}, recompute};
  for (int s = 0; s < plan.shards(); ++s) {
    plan.device.push_back(device_id(static_cast<std::size_t>(s / per_device)));
  }
  return plan;
}

bool every_shard_fits(const ModelProfile& model, const Cluster& cluster, const JobPlan& plan) {
  for (std::size_t s = 0; s < plan.first_layer.size(); ++s) {
    const int last = s + 1 < plan.first_layer.size() ? plan.first_layer[s + 1]
                                                     : static_cast<int>(model.layers.size());
    const Bytes peak = shard_cost(model, plan.first_layer[s], last).peak();
    if (peak > cluster.devices[index(plan.device[s])].memory) return false;
  }
  return true;
}

JobPlan model_parallel(const ModelProfile& model, const Cluster& cluster, bool recompute) {
  const int layers = static_cast<int>(model.layers.size());
  const int devices = std::min(static_cast<int>(cluster.devices.size()), layers);
  JobPlan plan = bind(model, devices, 1, recompute);
  // What keeps its activations is held on the device from start to end: more shards would not make
  // it smaller.
  if (!recompute) return plan;
  for (int k = 1; k * devices <= layers; ++k) {
    plan = bind(model, devices, k, recompute);
    if (every_shard_fits(model, cluster, plan)) return plan;
  }
  return plan;  // Refused by the caller, with its bytes.
}

JobPlan plan_job(const Job& job, std::size_t number, const Cluster& cluster, const Profile& profile,
                 const PlanChoice& choice) {
  const Strategy strategy = choice.strategy.strategy;
  if (!is_chain(strategy, choice.strategy.replicas)) {
    return plan_on_group(job, number, cluster, profile, choice.strategy, choice.recompute);
  }
  const auto entry = job_profile(profile, job, job.batch);
  const ModelProfile& model = *entry;
  if (strategy == Strategy::kSpill) return spill(model, cluster, choice);
  if (strategy == Strategy::kResident) return {Strategy::kResident, {0}, {}, true};
  return model_parallel(model, cluster, choice.recompute);
}

void refuse_contradictions(const Cluster& cluster, const PlanChoice& choice) {
  if (cluster.devices.empty()) throw Error("the cluster has no device");
  if (choice.slots < 1) throw Error("a plan needs at least one slot per device");
  if (choice.admit < 0) throw Error("a plan cannot admit fewer than one job at once");
  if (!choice.recompute && choice.strategy.strategy == Strategy::kSpill) {
    throw Error(
        "spill cannot keep activations: a shard's backward may run on another device than its "
        "forward");
  }
}

/// Which jobs have more shards than devices, if any.
std::string spilling_note(const Workload& workload, const Cluster& cluster, const Plan& plan) {
  std::string names;
  for (std::size_t j = 0; j < plan.jobs.size(); ++j) {
    const JobPlan& job = plan.jobs[j];
    const auto devices = static_cast<int>(cluster.devices.size());
    if (job.strategy != Strategy::kModelParallel || job.shards() <= devices) continue;
    names += fmt::format("{}{} ({} shards)", names.empty() ? "" : ", ", workload.jobs[j].name,
                         job.shards());
  }
  return names.empty() ? "" : "bound shards do not all fit and spill within their device: " + names;
}

}  // namespace

Bytes room_per_slot(const Cluster& cluster, int slots) {
  Bytes least = kUnlimited;
  for (const DeviceSpec& device : cluster.devices) {
    least = std::min(least, device.memory / device.slots(slots));
  }
  return least;
}

std::string describe(const PlanChoice& choice) {
  if (!choice.name.empty()) return choice.name;
  std::string name = to_string(choice.strategy) + "/" + choice.policy;
  if (choice.partitioner == Partitioner::kBalanced) name += "/balanced";
  if (choice.admit > 0) name += fmt::format("/admit={}", choice.admit);
  if (!choice.recompute) name += "/keep";
  if (choice.step != StepPlace::kCheaper) name += "/step=" + to_string(choice.step);
  if (choice.slots != PlanChoice{}.slots) name += fmt::format("/slots={}", choice.slots);
  return name;
}

Plan make_plan(const Workload& workload, const Cluster& cluster, const Profile& profile,
               const PlanChoice& choice) {
  refuse_contradictions(cluster, choice);
  make_policy(choice.policy, workload.jobs.size(), choice.seed);  // Throws on an unknown name.
  Plan plan{describe(choice), {}, choice.policy, choice.seed, choice.admit, choice.slots};
  for (std::size_t j = 0; j < workload.jobs.size(); ++j) {
    const Job& job = workload.jobs[j];
    plan.jobs.push_back(
        in_context(job.name, [&] { return plan_job(job, j, cluster, profile, choice); }));
    plan.jobs.back().step = choice.step;
  }
  refuse_what_cannot_fit(lower(workload, cluster, profile, plan), cluster);
  return plan;
}

std::vector<PlannedChoice> make_plans(const Workload& workload, const Cluster& cluster,
                                      const Profile& profile,
                                      const std::vector<PlanChoice>& choices) {
  for (const Job& job : workload.jobs) {  // No reason against a plan, but against the profile.
    const bool whole = std::ranges::any_of(choices, [](const PlanChoice& choice) {
      return choice.strategy.microbatches * choice.strategy.replicas == 1;
    });
    if (!whole) break;
    in_context(job.name, [&] { find(profile, job.model, job.batch, job.optimizer.kind); });
  }
  std::vector<PlannedChoice> made;
  bool any = false;
  for (const PlanChoice& choice : choices) {
    PlannedChoice& each = made.emplace_back(PlannedChoice{choice, {}, {}});
    try {
      each.plan = make_plan(workload, cluster, profile, choice);
      each.note = spilling_note(workload, cluster, *each.plan);
      any = true;
    } catch (const Error& error) {
      if (choices.size() == 1) throw;
      each.note = error.what();
    }
  }
  if (!any && !made.empty()) {
    throw Error("none of the plans can run; the first: " + made.front().note);
  }
  return made;
}

std::vector<PlanChoice> usual_choices(int slots, std::uint64_t seed) {
  std::vector<PlanChoice> choices;
  for (const PolicyInfo& policy : known_policies()) {
    if (!policy.usual) continue;
    choices.push_back({Strategy::kSpill, std::string(policy.name), slots, 0, true, seed, {}});
  }
  choices.push_back({Strategy::kModelParallel, "lrtf", slots, 1, true, seed, {}});
  choices.push_back({Strategy::kModelParallel, "lrtf", slots, 1, false, seed, {}});
  choices.push_back({Strategy::kModelParallel, "lrtf", slots, 0, true, seed, {}});
  choices.push_back({Strategy::kResident, "lrtf", slots, 0, true, seed, {}});
  return choices;
}

}  // namespace shardlab
