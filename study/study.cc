#include "study/study.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "core/counter_hash.h"
#include "core/error.h"
#include "core/parallel.h"
#include "policies/bounds.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

/// Of the grid's policy.
std::string place_of(const StudyGrid& grid, std::size_t policy) {
  return policy < grid.policy_places.size() ? grid.policy_places[policy] : grid.origin;
}

void refuse_unknown_policies(const StudyGrid& grid, std::uint64_t seed) {
  for (std::size_t p = 0; p < grid.policies.size(); ++p) {
    const std::string& name = grid.policies[p];
    in_context(place_of(grid, p), [&] {
      make_policy(name, 1, seed);
      if (std::find(&grid.policies[0], &name, name) == &name) return;
      throw Error(fmt::format("{} twice; name each policy once", name));
    });
  }
}

void name_policies(StudyGrid& grid) {
  grid.policies = policies_of(grid);
  const auto named = [&](const std::string& name) {
    return std::find(grid.policies.begin(), grid.policies.end(), name) != grid.policies.end();
  };
  if (grid.baseline.empty()) grid.baseline = named("lrtf") ? "lrtf" : grid.policies.front();
  if (!named(grid.baseline)) {
    throw Error(fmt::format("{}: the baseline \"{}\" is not among the policies; add it",
                            grid.origin, grid.baseline));
  }
}

void refuse_too_many(const StudyGrid& grid, std::size_t cells) {
  const double simulations = static_cast<double>(cells) * static_cast<double>(grid.instances) *
                             static_cast<double>(grid.policies.size());
  if (simulations <= static_cast<double>(kMostSimulations)) return;
  throw Error(fmt::format("{}: {:.1e} simulations, at most {:.0e} are; take fewer instances",
                          grid.origin, simulations, static_cast<double>(kMostSimulations)));
}

Duration simulated(const Program& program, const Cluster& cluster, const std::string& name,
                   std::uint64_t seed) {
  EstimatedCosts costs(program);
  const auto policy = make_policy(name, program, seed);
  return simulate(program, cluster, *policy, costs, nullptr).makespan.time_since_epoch();
}

/// Every policy on instance `number` (from 0) of the cell; writes only what is of that instance.
void simulate_instance(const Study& study, std::size_t number, CellResult& result) {
  const auto instance = static_cast<std::int64_t>(number) + 1;
  const std::string where =
      fmt::format("{}/{}, instance {}", study.grid.name, result.cell.name(), instance);
  StudyInstance drawn;
  Program program;
  in_context(study.grid.origin + ": " + where, [&] {
    drawn = draw_instance(result.cell, study.seed, instance);
    program = lower(drawn.workload, drawn.cluster, drawn.profile, drawn.plan);
    const Bounds found = bounds(program, drawn.cluster);
    const Duration bound = found.greatest();
    if (bound <= Duration{}) throw Error("units take less than a nanosecond; give jobs more time");
    result.bounds[number] = bound;
    result.bound_by[number] = found.binding();
  });
  for (std::size_t p = 0; p < study.grid.policies.size(); ++p) {
    const std::string& name = study.grid.policies[p];
    const std::string context = fmt::format("{}: {}: {}", place_of(study.grid, p), where, name);
    result.policies[p].makespans[number] = in_context(context, [&] {
      return simulated(program, drawn.cluster, name, policy_seed(study.seed, instance));
    });
  }
}

/// Only the first instances of every cell.
void keep_first(Study& study, std::size_t instances) {
  study.grid.instances = static_cast<std::int64_t>(instances);
  if (instances == 0) study.cells.clear();
  for (CellResult& result : study.cells) {
    result.bounds.resize(instances);
    result.bound_by.resize(instances);
    for (PolicyInCell& policy : result.policies) policy.makespans.resize(instances);
  }
}

void add_statistics(CellResult& result, std::size_t baseline) {
  std::vector<std::vector<double>> gaps;
  for (PolicyInCell& policy : result.policies) {
    gaps.push_back(all_over(policy.makespans, result.bounds));
    policy.gap = mean_interval(gaps.back());
    policy.worst = *std::max_element(gaps.back().begin(), gaps.back().end());
    const auto against = all_over(policy.makespans, result.policies[baseline].makespans);
    policy.against_baseline = mean_interval(against);
    policy.worst_against_baseline = *std::max_element(against.begin(), against.end());
  }
  const std::vector<AgainstBest> against = against_best(gaps);
  const auto best =
      std::min_element(result.policies.begin(), result.policies.end(),
                       [](const auto& a, const auto& b) { return a.gap.mean < b.gap.mean; });
  for (std::size_t p = 0; p < against.size(); ++p) {
    PolicyInCell& policy = result.policies[p];
    policy.against = against[p];
    policy.over_best = mean_interval(all_over(policy.makespans, best->makespans));
  }
}

}  // namespace

std::vector<std::string> policies_of(const StudyGrid& grid) {
  std::vector<std::string> policies = grid.policies;
  if (!policies.empty()) return policies;
  for (const PolicyInfo& policy : known_policies()) policies.emplace_back(policy.name);
  return policies;
}

std::size_t index_of(const StudyGrid& grid, const std::string& policy) {
  return static_cast<std::size_t>(std::ranges::find(grid.policies, policy) - grid.policies.begin());
}

std::vector<double> all_over(const std::vector<Duration>& times,
                             const std::vector<Duration>& references) {
  const auto over = [](Duration time, Duration reference) {
    return static_cast<double>(time.count()) / static_cast<double>(reference.count()) - 1;
  };
  std::vector<double> values;
  for (std::size_t i = 0; i < times.size(); ++i) values.push_back(over(times[i], references[i]));
  return values;
}

std::uint64_t policy_seed(std::uint64_t seed, std::int64_t instance) {
  return counter_hash({seed, static_cast<std::uint64_t>(instance)});
}

Study run_study(StudyGrid grid, std::uint64_t seed, std::size_t threads,
                const StudyProgress& progress) {
  name_policies(grid);
  refuse_unknown_policies(grid, seed);
  Study study{std::move(grid), seed, {}, 0};
  study.wanted = study.grid.instances;
  const auto instances = static_cast<std::size_t>(study.grid.instances);
  const std::size_t policies = study.grid.policies.size();
  for (StudyCell& cell : cells(study.grid)) study.cells.push_back({std::move(cell), {}, {}, {}});
  refuse_too_many(study.grid, study.cells.size());
  for (CellResult& result : study.cells) {
    result.bounds.resize(instances);
    result.bound_by.resize(instances);
    result.policies.resize(policies);
    for (PolicyInCell& policy : result.policies) policy.makespans.resize(instances);
  }
  // Instance by instance through all cells, so that the time so far tells the time left.
  const std::size_t tasks = instances * study.cells.size();
  std::mutex mutex;
  std::atomic<bool> goes_on = true;
  std::size_t done = 0;
  std::vector<char> ended(tasks);  // With several threads not in this order.
  parallel_for(tasks, threads, [&](std::size_t task) {
    if (!goes_on) return;
    simulate_instance(study, task / study.cells.size(), study.cells[task % study.cells.size()]);
    const std::lock_guard lock(mutex);
    ended[task] = 1;
    if (!progress(++done, tasks)) goes_on = false;
  });
  const auto first_missing = static_cast<std::size_t>(std::ranges::find(ended, 0) - ended.begin());
  if (first_missing < tasks) keep_first(study, first_missing / study.cells.size());
  const std::size_t baseline = index_of(study.grid, study.grid.baseline);
  for (CellResult& result : study.cells) add_statistics(result, baseline);
  return study;
}

std::vector<PolicySummary> summarize(const Study& study) {
  std::vector<PolicySummary> all(study.grid.policies.size());
  const auto count = static_cast<double>(study.cells.size());
  for (const CellResult& result : study.cells) {
    for (std::size_t p = 0; p < all.size(); ++p) {
      const PolicyInCell& policy = result.policies[p];
      PolicySummary& summary = all[p];
      summary.mean_gap += policy.gap.mean / count;
      summary.worst_gap = std::max(summary.worst_gap, policy.worst);
      summary.best += policy.ties_with_best() ? 1 : 0;
      summary.against_baseline += policy.against_baseline.mean / count;
      const bool first = summary.worst_cell_name.empty();
      if (first || policy.against_baseline.mean > summary.worst_cell) {
        summary.worst_cell = policy.against_baseline.mean;
        summary.worst_cell_name = result.cell.name();
      }
      if (first || policy.over_best.mean > summary.most_over_best) {
        summary.most_over_best = policy.over_best.mean;
        summary.most_over_best_name = result.cell.name();
      }
    }
  }
  return all;
}

}  // namespace shardlab
