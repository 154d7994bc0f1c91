#include "report/ranking.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace shardlab {

std::string RankedResult::label() const { return fmt::format("{}{}", tied ? "=" : "", rank); }

std::vector<RankedResult> rank(std::vector<PlanResult> results, double relative_error) {
  std::stable_sort(results.begin(), results.end(), [](const PlanResult& a, const PlanResult& b) {
    return a.predicted_s < b.predicted_s;
  });
  std::vector<RankedResult> ranked;
  std::size_t best = 0;  // Of the current rank.
  for (PlanResult& result : results) {
    const std::size_t place = ranked.size();
    ranked.push_back({std::move(result), static_cast<int>(place) + 1, false});
    const double first = ranked[best].result.predicted_s;
    const bool ties =
        place > 0 && (ranked[place].result.predicted_s <= first ||
                      ranked[place].result.predicted_s - first < relative_error * first);
    if (!ties) {
      best = place;
      continue;
    }
    ranked[place].rank = ranked[best].rank;
    ranked[place].tied = ranked[best].tied = true;
  }
  return ranked;
}

}  // namespace shardlab
