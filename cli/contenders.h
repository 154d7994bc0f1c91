#pragma once

#include <string>
#include <vector>

#include "cli/ranked_plans.h"
#include "core/plan.h"

namespace shardlab {

/// Which plans the demo runs.
struct Contenders {
  /// The challenger, then model_parallel one job at a time: with recomputation and, unless it was
  /// refused, keeping activations.
  std::vector<Plan> plans;
  std::string note;  ///< Why the challenger is not the plan that ranks first, else empty.
};

/// The challenger is the plan that ranks first or, where that is one of model_parallel one job at a
/// time, the best that spills. Requires: a plan is ranked. Throws Error where one is missing.
Contenders choose_contenders(const Ranking& ranking);

}  // namespace shardlab
