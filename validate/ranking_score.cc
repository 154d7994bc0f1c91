#include "validate/ranking_score.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "validate/validation.h"

namespace shardlab {
namespace {

void count_pairs(const std::vector<double>& predicted, const std::vector<double>& measured,
                 double stated_error, RankingScore& score) {
  for (std::size_t a = 0; a < predicted.size(); ++a) {
    for (std::size_t b = 0; b < predicted.size(); ++b) {
      if (predicted[b] <= predicted[a] * (1 + stated_error)) continue;
      ++score.pairs;
      if (measured[b] <= measured[a]) ++score.wrong;
    }
  }
}

double regret(const std::vector<double>& predicted, const std::vector<double>& measured) {
  const auto winner = std::ranges::min_element(predicted) - predicted.begin();
  return measured[static_cast<std::size_t>(winner)] / *std::ranges::min_element(measured) - 1;
}

}  // namespace

RankingScore score(std::span<const RankedCase> cases, std::vector<double> RankedCase::*which,
                   double stated_error) {
  RankingScore result;
  if (cases.empty()) return result;
  std::vector<double> regrets, errors;
  for (const RankedCase& each : cases) {
    const std::vector<double>& predicted = each.*which;
    count_pairs(predicted, each.measured_s, stated_error, result);
    regrets.push_back(regret(predicted, each.measured_s));
    for (std::size_t p = 0; p < predicted.size(); ++p) {
      errors.push_back(std::abs(each.measured_s[p] / predicted[p] - 1));
    }
  }
  result.regret_median = interpolated_median(regrets);
  result.regret_worst = *std::ranges::max_element(regrets);
  result.error_median = interpolated_median(errors);
  result.error_worst = *std::ranges::max_element(errors);
  return result;
}

nlohmann::ordered_json score_json(const RankingScore& score) {
  return {{"pairs", score.pairs},
          {"wrong", score.wrong},
          {"regret_median", score.regret_median},
          {"regret_worst", score.regret_worst},
          {"error_median", score.error_median},
          {"error_worst", score.error_worst}};
}

}  // namespace shardlab
