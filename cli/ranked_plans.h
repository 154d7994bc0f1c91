#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/inputs.h"
#include "cli/prediction.h"
#include "policies/planner.h"
#include "report/ranking.h"

namespace shardlab {

/// Predictions of several plans, best first, and why the others cannot run.
struct Ranking {
  struct Refused {
    std::string name, reason;
  };
  std::vector<RankedResult> ranked;
  std::vector<Prediction> predictions;  ///< In the order of `ranked`; their programs if kept.
  std::vector<Refused> refused;
  double stated_error = kStatedError;  ///< Not smaller than the widest interval of an estimate.
  std::string estimates;               ///< What was estimated, in words; empty: nothing.

  /// Takes out the one at `place`.
  void refuse(std::size_t place, const std::string& reason);
};

/// Plans that do not end, or leave more jobs without room than others, are refused. Throws Error
/// where none is left, or the only one cannot run. `keep_programs`: for replications; they are the
/// largest part of a prediction. `with_timeline`: of the only one.
Ranking rank_plans(const Inputs& inputs, const std::vector<PlannedChoice>& plans,
                   bool keep_programs, bool with_timeline = true);

/// rank, plan, predicted, naive, bound, utilization, bytes moved, peak, energy and cost where the
/// cluster gives watts and prices; then notes and what was refused.
std::string ranking_text(const Ranking& ranking);
nlohmann::ordered_json ranking_json(const Ranking& ranking);

}  // namespace shardlab
