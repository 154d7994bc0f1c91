#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "planning/evaluation.h"
#include "planning/job_options.h"

namespace shardlab {

struct JointSearch {
  std::string policy = "lrtf";
  int slots = 2;
  std::uint64_t seed = 1;
  std::int64_t evaluations = 500;  ///< Simulations at most; the same number gives the same plan.
};

/// How the search goes on; asked after every simulation. Returns false to end it there.
using SearchProgress = std::function<bool(std::int64_t evaluations, Duration best)>;

/// A strategy, degree and group of devices for every job.
struct JointPlan {
  Plan plan;
  std::vector<JobOption> chosen;  ///< Per job.
  Duration predicted{};           ///< Simulated, every minibatch.
  std::int64_t evaluations = 0;
  bool ended_early = false;  ///< By SearchProgress.
};

/// Chooses strategy and degree of every job together with who shares which devices, in the manner
/// of Saturn (arXiv 2309.01226): each job's options are simulated alone on every group size; branch
/// and bound over their list schedules gives the first plans; a local search simulates whole plans
/// and changes one or two jobs at a time. All jobs spilling under the policy, and the usual plans,
/// are among what is tried, so none of them is better. At any time the best so far is a plan.
///
/// Throws Error when a job cannot run in any way.
JointPlan plan_jointly(Evaluator& evaluator, const JointSearch& search,
                       const SearchProgress& progress);

}  // namespace shardlab
