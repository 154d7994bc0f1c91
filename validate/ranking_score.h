#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace shardlab {

/// A workload that was run under several policies; all makespans in the order of the policies.
struct RankedCase {
  std::string name;
  std::vector<double> predicted_s;
  std::vector<double> naive_s;  ///< By a model without memory and links.
  std::vector<double> measured_s;
  /// Of predicted_s: the standard deviation of one run, as durations vary. Empty: they do not.
  std::vector<double> spread_s = {};
};

/// Which prediction of a case is scored; `spread_s` may be null.
struct PredictedBy {
  std::vector<double> RankedCase::*makespan_s;
  std::vector<double> RankedCase::*spread_s = nullptr;
};
inline constexpr PredictedBy kByShardlab{&RankedCase::predicted_s, &RankedCase::spread_s};
inline constexpr PredictedBy kByNaive{&RankedCase::naive_s};

/// What each policy took, of rounds of runs one after another: makespans by round and policy. A
/// machine that is slow for a while slows whole rounds: so each policy's median share of its
/// round's geometric mean, times the median of those means. Requires: a round, all of one size, all
/// positive.
std::vector<double> measured_in_rounds(const std::vector<std::vector<double>>& rounds);

/// How well predictions order policies.
struct RankingScore {
  /// Of policies on a workload, predicted further apart than the error of the pair: the stated one,
  /// a share of the shorter, and the 95 % interval by both spreads, as a root of squares.
  std::size_t pairs = 0;
  std::size_t wrong = 0;  ///< Of those, measured in the other order.
  /// What the policy that was predicted to be best took above the best measured one, as a share of
  /// that; of equal predictions the first policy's. Over the workloads.
  double regret_median = 0, regret_worst = 0;
  double error_median = 0, error_worst = 0;  ///< |measured / predicted - 1|.
};

/// Requires cases with all makespans, positive.
RankingScore score(std::span<const RankedCase> cases, const PredictedBy& which,
                   double stated_error);

/// "pairs", "wrong", "regret_median", "regret_worst", "error_median", "error_worst".
nlohmann::ordered_json score_json(const RankingScore& score);

}  // namespace shardlab
