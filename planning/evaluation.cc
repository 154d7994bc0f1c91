#include "planning/evaluation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "policies/registry.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "sim/costs.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

/// Enough for a pipeline to fill and for jobs to meet each other, few enough for hundreds of plans.
constexpr std::int64_t kMinibatchesAtOnce = 200;
constexpr std::int64_t kFewest = 4;

}  // namespace

Evaluator::Evaluator(Workload workload, const Cluster& cluster, const Profile& profile)
    : whole_(std::move(workload)), cluster_(cluster), profile_(profile) {
  whole_.early_stop.reset();
  std::int64_t sum = 0, least = INT64_MAX;
  for (Job& job : whole_.jobs) {
    job.stop_after = 0;
    sum += job.minibatches;
    least = std::min(least, job.minibatches);
  }
  shortened_ = whole_;
  if (sum <= kMinibatchesAtOnce) return;
  share_ =
      std::min(1.0, std::max(static_cast<double>(kMinibatchesAtOnce) / static_cast<double>(sum),
                             static_cast<double>(kFewest) / static_cast<double>(least)));
  for (Job& job : shortened_.jobs) {
    job.minibatches = std::llround(std::ceil(share_ * static_cast<double>(job.minibatches)));
    job.arrival = Duration{std::llround(share_ * static_cast<double>(job.arrival.count()))};
  }
}

std::optional<Duration> Evaluator::simulated(const Workload& workload, const Plan& plan) {
  ++evaluations_;
  try {
    const Program program = lower(workload, cluster_, profile_, plan);
    refuse_what_cannot_fit(program, cluster_);
    EstimatedCosts costs(program);
    const auto policy = make_policy(plan.policy, program, plan.seed);
    return simulate(program, cluster_, *policy, costs, nullptr).makespan.time_since_epoch();
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<Duration> Evaluator::makespan(const Plan& plan) {
  const auto found = simulated(shortened_, plan);
  if (!found || share_ == 1) return found;
  return Duration{std::llround(static_cast<double>(found->count()) / share_)};
}

std::optional<Duration> Evaluator::whole_makespan(const Plan& plan) {
  return simulated(whole_, plan);
}

}  // namespace shardlab
