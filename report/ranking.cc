#include "report/ranking.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "report/table.h"

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

std::string ranking_table(const std::vector<RankedResult>& ranked, double relative_error) {
  TextTable table({"rank", "plan", "predicted s", "naive s", "above bound %", "peak MiB"});
  bool ties = false;
  for (const RankedResult& each : ranked) {
    const PlanResult& result = each.result;
    ties = ties || each.tied;
    table.row({each.label(), result.name, fmt::format("{:.3f}", result.predicted_s),
               fmt::format("{:.3f}", result.naive_s),
               result.lower_bound_s > 0 ? fmt::format("{:.1f}", result.gap() * 100) : "-",
               fmt::format("{:.1f}", static_cast<double>(result.peak) * 0x1p-20)});
  }
  const std::string note = fmt::format(
      "= ties: within {} of the first of that rank, which is the stated error of a prediction\n",
      format_percent(relative_error));
  return table.text() + (ties ? note : "");
}

}  // namespace shardlab
