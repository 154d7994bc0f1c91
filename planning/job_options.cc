#include "planning/job_options.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "core/error.h"
#include "planning/evaluation.h"
#include "policies/group_plan.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "sched/partitioned.h"
#include "sched/shard_cost.h"

namespace shardlab {
namespace {

constexpr int kMostMicrobatchesPerStage = 4;  // More shorten the bubble by less than a tenth.
constexpr std::size_t kKeptPerSize = 2;
constexpr int kMostPasses = 2048;  // Stages x microbatches x replicas: more take seconds each.

std::vector<int> group_sizes(int devices) {
  std::vector<int> sizes;
  for (int size = 1; size < devices; size *= 2) sizes.push_back(size);
  sizes.push_back(devices);
  return sizes;
}

/// Numbers of microbatches for a share of a minibatch.
std::vector<int> microbatches(int batch, int stages) {
  std::vector<int> all;
  for (int m = 2; m <= kMostMicrobatchesPerStage * stages; ++m) {
    if (batch % m == 0) all.push_back(m);
  }
  return all;
}

StrategyChoice pipeline(Strategy strategy, int stages, int count, int replicas) {
  StrategyChoice choice(strategy);
  choice.stages = stages;
  choice.microbatches = count;
  choice.replicas = replicas;
  return choice;
}

std::vector<StrategyChoice> choices_on(int devices, int batch, int layers) {
  if (devices == 1) return {Strategy::kResident};
  std::vector<StrategyChoice> all;
  for (int replicas = devices; replicas >= 1; --replicas) {
    if (devices % replicas != 0 || batch % replicas != 0) continue;
    const int stages = devices / replicas;
    if (stages == 1) {
      all.emplace_back(Strategy::kResident);
      all.back().replicas = replicas;
      continue;
    }
    if (stages > layers) continue;
    for (const int m : microbatches(batch / replicas, stages)) {
      if (stages * m * replicas > kMostPasses) break;
      all.push_back(pipeline(Strategy::kOneFOneB, stages, m, replicas));
      if (replicas == 1) all.push_back(pipeline(Strategy::kGpipe, stages, m, 1));
    }
  }
  return all;
}

/// Seconds of a few minibatches say how long all take, once the first has filled the pipeline.
std::optional<Duration> alone(Job job, const Cluster& cluster, const Profile& profile,
                              const JobPlan& plan, int slots) {
  const std::int64_t all = job.minibatches;
  job.arrival = {};
  Plan whole{"alone", {plan}, "lrtf", 1, 0, slots};
  std::array<Duration, 2> times{};
  std::array<std::int64_t, 2> counts{std::min<std::int64_t>(2, all),
                                     std::min<std::int64_t>(4, all)};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    job.minibatches = counts[i];
    const auto time = Evaluator({{job}}, cluster, profile).whole_makespan(whole);
    if (!time) return std::nullopt;
    times[i] = *time;
  }
  if (counts[0] == counts[1]) return times[1];
  return times[1] + (times[1] - times[0]) / (counts[1] - counts[0]) * (all - counts[1]);
}

bool fits(const Job& job, const Cluster& cluster, const Profile& profile, const JobPlan& plan) {
  try {
    refuse_what_cannot_fit(lower({{job}}, cluster, profile, {"", {plan}, "lrtf"}), cluster);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Of a plan that recomputes: which shards still do when others keep their graphs as far as these
/// fit, first those whose recomputation takes longest per byte of graph.
std::vector<bool> kept_where_it_fits(const Job& job, const Cluster& cluster, const Profile& profile,
                                     JobPlan plan) {
  const std::vector<ShardCost> costs = cut(job, plan, cluster, profile);
  std::vector<std::size_t> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  const auto time_per_byte = [&](std::size_t s) {
    return seconds(costs[s].loaded.recompute) / static_cast<double>(costs[s].graph + 1);
  };
  std::ranges::stable_sort(order, std::greater<>(), time_per_byte);
  plan.recompute_shard.assign(costs.size(), true);
  for (const std::size_t s : order) {
    plan.recompute_shard[s] = false;
    if (!fits(job, cluster, profile, plan)) plan.recompute_shard[s] = true;
  }
  return plan.recompute_shard;
}

enum class Graphs : std::uint8_t { kKept, kWhereTheyFit, kRecomputed };

/// With its time, where it can run; activations kept where they fit.
std::optional<JobOption> tried(const Job& job, const Cluster& cluster, const Profile& profile,
                               JobOption option, int slots) {
  for (const Graphs graphs : {Graphs::kKept, Graphs::kWhereTheyFit, Graphs::kRecomputed}) {
    if (option.devices == 0 && graphs != Graphs::kRecomputed) continue;  // Spill never keeps.
    if (option.devices == 1 && graphs != Graphs::kKept) continue;        // One unit, fused.
    option.recompute = graphs != Graphs::kKept;
    option.recompute_shard.clear();
    try {
      JobPlan plan = lay_out(job, cluster, profile, option, 0, slots);
      if (graphs == Graphs::kWhereTheyFit) {
        option.recompute_shard = kept_where_it_fits(job, cluster, profile, plan);
        plan.recompute_shard = option.recompute_shard;
        if (!plan.keeps_graphs()) continue;
      }
      const auto time = alone(job, cluster, profile, plan, slots);
      if (!time) continue;
      option.alone = *time;
      return option;
    } catch (const Error&) {
      continue;  // Batch not profiled, no room, too few layers: not an option.
    }
  }
  return std::nullopt;
}

}  // namespace

std::string to_string(const JobOption& option) {
  if (!option.recompute || option.devices <= 1) return to_string(option.choice);
  if (option.recompute_shard.empty()) return to_string(option.choice) + "/recompute";
  const auto count = std::ranges::count(option.recompute_shard, true);
  return fmt::format("{}/recompute {} of {} shards", to_string(option.choice), count,
                     option.recompute_shard.size());
}

std::vector<JobOption> job_options(const Job& job, const Cluster& cluster, const Profile& profile,
                                   int slots) {
  std::vector<JobOption> options;
  if (const auto spill = tried(job, cluster, profile, {}, slots)) options.push_back(*spill);
  Duration fastest = Duration::max();  // Of those on fewer devices.
  for (const int devices : group_sizes(static_cast<int>(cluster.devices.size()))) {
    std::vector<JobOption> here;
    for (const StrategyChoice& choice : choices_on(devices, job.batch, job.model.layers + 2)) {
      const auto option = tried(job, cluster, profile, {choice, false, devices, {}}, slots);
      if (option && option->alone < fastest) here.push_back(*option);
    }
    std::ranges::stable_sort(here, {}, &JobOption::alone);
    here.resize(std::min(here.size(), kKeptPerSize));
    if (!here.empty()) fastest = here.front().alone;
    options.insert(options.end(), here.begin(), here.end());
  }
  if (!options.empty()) return options;
  // Say why, by the strategy that needs least.
  make_plan({{job}}, cluster, profile, {Strategy::kSpill, "lrtf", slots, 0, true, 1, {}});
  throw Error(job.name + ": cannot run in any of the ways that plan tries");
}

JobPlan lay_out(const Job& job, const Cluster& cluster, const Profile& profile,
                const JobOption& option, int group, int slots) {
  if (option.devices == 0) {
    const PlanChoice choice{Strategy::kSpill, "lrtf", slots, 0, true, 1, {}};
    return make_plan({{job}}, cluster, profile, choice).jobs.front();
  }
  if (option.devices == 1) {  // Bound, as where a resident job goes is not the plan's to say.
    return {Strategy::kModelParallel, {0}, {device_id(static_cast<std::size_t>(group))}, false};
  }
  JobPlan plan = plan_on_group(job, static_cast<std::size_t>(group), cluster, profile,
                               option.choice, option.recompute);
  plan.recompute_shard = option.recompute_shard;
  return plan;
}

}  // namespace shardlab
