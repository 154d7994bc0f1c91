#include "planning/replan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "core/error.h"
#include "policies/registry.h"
#include "policies/tuners.h"
#include "sched/link.h"
#include "sched/lower.h"
#include "sim/costs.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

constexpr double kMostUnits = 2e6;  // A timeline of them takes 200 MB.

struct Simulated {
  Outcome outcome;
  Timeline timeline;
  std::vector<std::size_t> units;  ///< Of a minibatch, per job.
};

Simulated simulated(const Workload& workload, const Cluster& cluster, const Profile& profile,
                    const Plan& plan) {
  Simulated made;
  const Program program = lower(workload, cluster, profile, plan);
  double all = 0;
  for (const JobProgram& job : program.jobs) {
    made.units.push_back(job.units.size());
    all += static_cast<double>(job.units.size()) * static_cast<double>(job.minibatches);
  }
  if (all > kMostUnits) {
    throw Error(
        "too many units to plan again when jobs stop: at most 2 million; give fewer "
        "minibatches: times grow in proportion");
  }
  EstimatedCosts costs(program);
  const auto policy = make_policy(plan.policy, program, plan.seed);
  const auto tuner = make_tuner(workload);
  made.outcome = simulate(program, cluster, *policy, costs, &made.timeline, tuner.get());
  return made;
}

/// Minibatches of every job whose units had all run by then.
std::vector<std::int64_t> complete_at(const Simulated& run, Instant at) {
  std::vector<std::map<std::int64_t, std::size_t>> left(run.units.size());
  std::vector<std::int64_t> complete(run.units.size());
  for (const UnitSpan& span : run.timeline.units) {
    if (span.to > at) continue;
    const std::size_t job = index(span.job);
    auto [entry, fresh] = left[job].try_emplace(span.minibatch, run.units[job]);
    if (--entry->second > 0) continue;
    left[job].erase(entry);
    ++complete[job];
  }
  return complete;
}

/// When jobs were stopped early, ascending.
std::set<Instant> stops_of(const Outcome& outcome) {
  std::set<Instant> stops;
  for (const JobEnd& end : outcome.jobs) {
    if (!end.completed) stops.insert(end.at);
  }
  return stops;
}

/// What is on a device at that instant goes home before anything moves elsewhere: at most all of
/// it, over the device's own link.
Duration drain_time(const Simulated& run, const Cluster& cluster, Instant at) {
  std::vector<Bytes> held(cluster.devices.size());
  for (const MemorySample& sample : run.timeline.memory) {
    if (sample.at <= at) held[index(sample.device)] = sample.reserved;
  }
  Duration longest{};
  for (std::size_t d = 0; d < held.size(); ++d) {
    longest = std::max(longest, transfer_time(held[d], cluster.devices[d].link_back()));
  }
  return longest;
}

class Replanning {
 public:
  Replanning(const Workload& workload, const Cluster& cluster, const Profile& profile,
             const JointSearch& search, const SearchProgress& progress)
      : cluster_(cluster), profile_(profile), search_(search), progress_(progress) {
    PlanPhase& first = result_.phases.emplace_back();
    first.jobs.resize(workload.jobs.size());
    std::iota(first.jobs.begin(), first.jobs.end(), 0);
    first.joint = planned(workload);
    first.workload = decided(workload, first.joint.plan);
  }

  Replanned run() {
    while (add_phase()) continue;
    result_.predicted = result_.phases.back().to;
    if (result_.predicted > result_.unchanged) keep_first();
    return std::move(result_);
  }

 private:
  /// Verdicts by a tuner may come earlier than what is known of them beforehand lets jobs end.
  void keep_first() {
    result_.phases.resize(1);
    result_.phases.front().stopped.clear();
    result_.predicted = result_.phases.front().to = result_.unchanged;
  }

  JointPlan planned(const Workload& workload) {
    Evaluator evaluator(workload, cluster_, profile_);
    return plan_jointly(evaluator, search_, progress_);
  }

  /// The workload with its tuner's verdicts, each job by itself.
  Workload decided(Workload workload, const Plan& plan) {
    const Outcome outcome = simulated(workload, cluster_, profile_, plan).outcome;
    result_.unchanged = outcome.makespan.time_since_epoch();
    workload.early_stop.reset();
    for (std::size_t j = 0; j < workload.jobs.size(); ++j) {
      if (!outcome.jobs[j].completed) workload.jobs[j].stop_after = outcome.jobs[j].minibatches;
    }
    return workload;
  }

  /// What is left of the last phase at `at`.
  PlanPhase rest_of(const PlanPhase& phase, const Simulated& run, Instant at) const {
    PlanPhase rest;
    const Duration begins = at.time_since_epoch() + drain_time(run, cluster_, at);
    rest.from = phase.from + begins;
    const std::vector<std::int64_t> complete = complete_at(run, at);
    for (std::size_t j = 0; j < phase.jobs.size(); ++j) {
      if (run.outcome.jobs[j].at <= at) continue;
      Job job = phase.workload.jobs[j];
      job.minibatches -= complete[j];
      if (job.minibatches == 0) continue;  // Its weights are on their way back.
      if (job.stop_after > 0) job.stop_after -= complete[j];
      if (job.stop_after == 0 && phase.workload.jobs[j].stop_after > 0) continue;
      job.arrival = std::max(Duration{}, job.arrival - begins);
      rest.jobs.push_back(phase.jobs[j]);
      rest.workload.jobs.push_back(job);
    }
    return rest;
  }

  /// Ends the last phase; false when nothing follows.
  bool add_phase() {
    PlanPhase phase = std::move(result_.phases.back());
    const Simulated run = simulated(phase.workload, cluster_, profile_, phase.joint.plan);
    phase.to = phase.from + run.outcome.makespan.time_since_epoch();
    std::optional<PlanPhase> next;
    for (const Instant at : stops_of(run.outcome)) {
      PlanPhase rest = rest_of(phase, run, at);
      if (rest.jobs.empty()) break;
      rest.joint = planned(rest.workload);
      if (rest.from + rest.joint.predicted >= phase.to) continue;  // What goes on ends earlier.
      phase.to = rest.from;
      for (std::size_t j = 0; j < phase.jobs.size(); ++j) {
        const JobEnd& end = run.outcome.jobs[j];
        if (!end.completed && end.at <= at) phase.stopped.push_back(phase.jobs[j]);
      }
      next = std::move(rest);
      break;
    }
    result_.phases.back() = std::move(phase);
    if (next) result_.phases.push_back(std::move(*next));
    return next.has_value();
  }

  const Cluster& cluster_;
  const Profile& profile_;
  const JointSearch& search_;
  const SearchProgress& progress_;
  Replanned result_;
};

}  // namespace

Replanned plan_with_stops(const Workload& workload, const Cluster& cluster, const Profile& profile,
                          const JointSearch& search, const SearchProgress& progress) {
  return Replanning(workload, cluster, profile, search, progress).run();
}

}  // namespace shardlab
