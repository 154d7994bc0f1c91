#pragma once

#include <vector>

#include "report/statistics.h"
#include "study/study.h"

namespace shardlab {

/// What a user is given: settings of a study that differ in their slots alone, which are the user's
/// to choose. Each policy is taken with the slots of its least mean gap, the fewest of equals.
struct BestSlots {
  /// Of one policy.
  struct Choice {
    const CellResult* cell = nullptr;
    const PolicyInCell* result = nullptr;  ///< In that cell.
    AgainstBest against;       ///< Differences of gaps, against the policy of the least mean gap.
    double over_baseline = 0;  ///< Mean makespan over the baseline's, at its slots, less 1.

    [[nodiscard]] bool ties_with_best() const {
      return against.difference.mean == 0 || against.verdict == "tie";
    }
  };
  std::vector<const CellResult*> cells;  ///< Not empty.
  std::vector<Choice> policies;          ///< In the order of StudyGrid::policies.
};

/// In the order of their first cells. Points into `study`.
std::vector<BestSlots> at_best_slots(const Study& study);

}  // namespace shardlab
