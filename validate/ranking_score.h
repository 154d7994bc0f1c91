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
};

/// How well predictions order policies.
struct RankingScore {
  std::size_t pairs = 0;  ///< Of policies on a workload, predicted further apart than the stated
                          ///< error (a share of the shorter).
  std::size_t wrong = 0;  ///< Of those, measured in the other order.
  /// What the policy that was predicted to be best took above the best measured one, as a share of
  /// that; of equal predictions the first policy's. Over the workloads.
  double regret_median = 0, regret_worst = 0;
  double error_median = 0, error_worst = 0;  ///< |measured / predicted - 1|.
};

/// Of the predictions that `which` points to. Requires cases with all makespans, positive.
RankingScore score(std::span<const RankedCase> cases, std::vector<double> RankedCase::*which,
                   double stated_error);

/// "pairs", "wrong", "regret_median", "regret_worst", "error_median", "error_worst".
nlohmann::ordered_json score_json(const RankingScore& score);

}  // namespace shardlab
