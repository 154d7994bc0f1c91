#include "validate/ranking_score.h"

#include <algorithm>
#include <cmath>
#include <utility>

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

Regret regret_of(const RankedCase& ranked, std::size_t policy) {
  if (!ranked.regret.empty()) return ranked.regret[policy];
  return {ranked.measured_s[policy] / *std::ranges::min_element(ranked.measured_s) - 1};
}

void add_up_regrets(const std::vector<Regret>& regrets, RankingScore& score) {
  std::vector<double> shares, lows, highs;
  for (const Regret& each : regrets) {
    shares.push_back(each.share);
    if (each.low.has_value()) lows.push_back(*each.low);
    if (each.high.has_value()) highs.push_back(*each.high);
  }
  score.regret_median = interpolated_median(shares);
  score.regret_worst = *std::ranges::max_element(shares);
  if (highs.size() < regrets.size()) return;
  score.median_within = {interpolated_median(lows), interpolated_median(highs)};
  score.worst_within = {*std::ranges::max_element(lows), *std::ranges::max_element(highs)};
}

nlohmann::ordered_json within_json(const std::optional<RankingScore::Within>& within) {
  if (!within.has_value()) return nullptr;
  return {within->low, within->high};
}

}  // namespace

void set_measured(const PolicyMakespans& makespans, RankedCase& ranked) {
  ranked.measured_s = makespans.adjusted_s();
  ranked.raw_s = makespans.raw_s();
  ranked.regret.clear();
  for (std::size_t p = 0; p < ranked.measured_s.size(); ++p) {
    ranked.regret.push_back(makespans.regret(p));
  }
}

RankedCase unadjusted(RankedCase ranked) {
  ranked.measured_s = ranked.raw_s;
  ranked.regret.clear();
  return ranked;
}

std::size_t winner(const std::vector<double>& predicted) {
  return static_cast<std::size_t>(std::ranges::min_element(predicted) - predicted.begin());
}

RankingScore score(std::span<const RankedCase> cases, const PredictedBy& which,
                   double stated_error) {
  RankingScore result;
  if (cases.empty()) return result;
  std::vector<Regret> regrets;
  std::vector<double> errors;
  for (const RankedCase& each : cases) {
    const std::vector<double>& predicted = each.*which.makespan_s;
    count_pairs(each, which, stated_error, result);
    regrets.push_back(regret_of(each, winner(predicted)));
    for (std::size_t p = 0; p < predicted.size(); ++p) {
      errors.push_back(std::abs(each.measured_s[p] / predicted[p] - 1));
    }
  }
  add_up_regrets(regrets, result);
  result.error_median = interpolated_median(errors);
  result.error_worst = *std::ranges::max_element(errors);
  return result;
}

nlohmann::ordered_json score_json(const RankingScore& score) {
  return {{"pairs", score.pairs},
          {"wrong", score.wrong},
          {"regret_median", score.regret_median},
          {"regret_worst", score.regret_worst},
          {"regret_median_within", within_json(score.median_within)},
          {"regret_worst_within", within_json(score.worst_within)},
          {"error_median", score.error_median},
          {"error_worst", score.error_worst}};
}

}  // namespace shardlab
