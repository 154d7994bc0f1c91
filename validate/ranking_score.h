#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "validate/ranking_measure.h"

namespace shardlab {

/// A workload that was run under several policies; all makespans in the order of the policies.
struct RankedCase {
  std::string name;
  std::vector<double> predicted_s;
  std::vector<double> naive_s;  ///< By a model without memory and links.
  std::vector<double> measured_s;
  /// Of predicted_s: the standard deviation of one run, as durations vary. Empty: they do not.
  std::vector<double> spread_s = {};
  std::vector<double> raw_s = {};   ///< As measured_s, not adjusted to the machine's speed.
  std::vector<Regret> regret = {};  ///< Of each policy. Empty: by measured_s, without intervals.
};

/// Sets measured_s, raw_s and regret.
void set_measured(const PolicyMakespans& makespans, RankedCase& ranked);
/// With measured_s as raw_s.
RankedCase unadjusted(RankedCase ranked);
/// Of equal predictions the first policy. Requires: a policy.
std::size_t winner(const std::vector<double>& predicted);

/// Which prediction of a case is scored; `spread_s` may be null.
struct PredictedBy {
  std::vector<double> RankedCase::*makespan_s;
  std::vector<double> RankedCase::*spread_s = nullptr;
};
inline constexpr PredictedBy kByShardlab{&RankedCase::predicted_s, &RankedCase::spread_s};
inline constexpr PredictedBy kByNaive{&RankedCase::naive_s};

/// How well predictions order policies.
struct RankingScore {
  /// Of policies on a workload, predicted further apart than the error of the pair: the stated one,
  /// a share of the shorter, and the 95 % interval by both spreads, as a root of squares.
  std::size_t pairs = 0;
  std::size_t wrong = 0;  ///< Of those, measured in the other order.
  /// What the policy that was predicted to be best took above the best measured one, as a share of
  /// that. Over the workloads.
  double regret_median = 0, regret_worst = 0;
  /// The same of the lower and of the upper ends of the workloads' intervals, each of which has
  /// 95 % by itself. None where a workload has none.
  struct Within {
    double low = 0, high = 0;
  };
  std::optional<Within> median_within = std::nullopt, worst_within = std::nullopt;
  double error_median = 0, error_worst = 0;  ///< |measured / predicted - 1|.
};

/// Requires cases with all makespans, positive.
RankingScore score(std::span<const RankedCase> cases, const PredictedBy& which,
                   double stated_error);

/// "pairs", "wrong", "regret_median", "regret_worst", "regret_median_within" and
/// "regret_worst_within" ([low, high] or null), "error_median", "error_worst".
nlohmann::ordered_json score_json(const RankingScore& score);

}  // namespace shardlab
