#pragma once

#include <string>
#include <vector>

#include "core/bytes.h"

namespace shardlab {

/// How far a time is above a lower bound, as a fraction of it; 0 where that is not known.
inline double gap_over(double time_s, double lower_bound_s) {
  return lower_bound_s > 0 ? time_s / lower_bound_s - 1 : 0;
}

/// One simulated plan, for the table of plans.
struct PlanResult {
  std::string name;
  double predicted_s = 0;    ///< Makespan.
  double naive_s = 0;        ///< max(sum of compute / devices, longest job).
  double lower_bound_s = 0;  ///< No run of it is faster; 0: not known.
  std::string bound_by;      ///< Which of the bounds that is: "work".
  Bytes peak = 0;            ///< Of the device that needs most.

  /// See gap_over().
  [[nodiscard]] double gap() const { return gap_over(predicted_s, lower_bound_s); }
};

struct RankedResult {
  PlanResult result;
  int rank = 1;       ///< From 1; those that tie share it, the next counts them: 1, 1, 3.
  bool tied = false;  ///< Another result has this rank.

  [[nodiscard]] std::string label() const;  ///< "3", or "=1" for a tie.
};

/// By predicted makespan. A result ties with the best of a rank, and so with all between, when it
/// is slower by less than `relative_error` of the best's time: the prediction cannot tell them
/// apart. Equal times keep their order.
std::vector<RankedResult> rank(std::vector<PlanResult> results, double relative_error);

}  // namespace shardlab
