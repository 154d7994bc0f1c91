#include "validate/ranking_score.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "validate/validation.h"

namespace shardlab {
namespace {

constexpr double kOf95Percent = 1.96;  ///< Standard deviations of a normal distribution.

void count_pairs(const RankedCase& ranked, const PredictedBy& which, double stated_error,
                 RankingScore& score) {
  const std::vector<double>& predicted = ranked.*which.makespan_s;
  const std::vector<double> fixed(predicted.size());
  const std::vector<double>& varied = which.spread_s == nullptr ? fixed : ranked.*which.spread_s;
  const std::vector<double>& spread = varied.empty() ? fixed : varied;
  for (std::size_t a = 0; a < predicted.size(); ++a) {
    for (std::size_t b = 0; b < predicted.size(); ++b) {
      const double error = std::hypot(stated_error * predicted[a], kOf95Percent * spread[a],
                                      kOf95Percent * spread[b]);
      if (predicted[b] <= predicted[a] + error) continue;
      ++score.pairs;
      if (ranked.measured_s[b] <= ranked.measured_s[a]) ++score.wrong;
    }
  }
}

double geometric_mean(const std::vector<double>& values) {
  double logs = 0;
  for (const double value : values) logs += std::log(value);
  return std::exp(logs / static_cast<double>(values.size()));
}

double regret(const std::vector<double>& predicted, const std::vector<double>& measured) {
  const auto winner = std::ranges::min_element(predicted) - predicted.begin();
  return measured[static_cast<std::size_t>(winner)] / *std::ranges::min_element(measured) - 1;
}

}  // namespace

std::vector<double> measured_in_rounds(const std::vector<std::vector<double>>& rounds) {
  std::vector<double> means;
  for (const std::vector<double>& round : rounds) means.push_back(geometric_mean(round));
  const double usual = interpolated_median(means);
  std::vector<double> measured;
  for (std::size_t p = 0; p < rounds.front().size(); ++p) {
    std::vector<double> shares;
    for (std::size_t r = 0; r < rounds.size(); ++r) shares.push_back(rounds[r][p] / means[r]);
    measured.push_back(usual * interpolated_median(shares));
  }
  return measured;
}

RankingScore score(std::span<const RankedCase> cases, const PredictedBy& which,
                   double stated_error) {
  RankingScore result;
  if (cases.empty()) return result;
  std::vector<double> regrets, errors;
  for (const RankedCase& each : cases) {
    const std::vector<double>& predicted = each.*which.makespan_s;
    count_pairs(each, which, stated_error, result);
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
