#include "cli/contenders.h"

#include <algorithm>

#include "core/error.h"

namespace shardlab {
namespace {

bool one_job_at_a_time(const Plan& plan) {
  return plan.jobs.front().strategy == Strategy::kModelParallel && plan.admit == 1;
}

}  // namespace

Contenders choose_contenders(const Ranking& ranking) {
  const auto& all = ranking.predictions;
  const auto best = [&](const auto& wanted) -> const Plan* {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const Prediction& each) { return wanted(each.plan); });
    return found == all.end() ? nullptr : &found->plan;
  };
  const auto baseline = [&](bool recompute) {
    return best([&](const Plan& plan) {
      return one_job_at_a_time(plan) && plan.jobs.front().recompute == recompute;
    });
  };
  const auto spills = [](const Plan& plan) {
    return plan.jobs.front().strategy == Strategy::kSpill;
  };
  const Plan& first = all.front().plan;
  const bool compares_with_itself = one_job_at_a_time(first);
  const Plan* challenger = compares_with_itself ? best(spills) : &first;
  const Plan* recomputing = baseline(true);
  if (challenger == nullptr || recomputing == nullptr) {
    throw Error(
        "the demo needs a plan that spills and model_parallel one job at a time, neither refused "
        "above; give the devices of --cluster more memory");
  }
  Contenders chosen;
  if (compares_with_itself) {
    chosen.note = first.name +
                  ", a plan to compare with, ranks first itself: the best that spills runs "
                  "against it\n";
  }
  chosen.plans = {*challenger, *recomputing};
  if (const Plan* keeping = baseline(false)) chosen.plans.push_back(*keeping);
  return chosen;
}

}  // namespace shardlab
