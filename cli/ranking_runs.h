#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/emulation.h"
#include "cli/engine.h"
#include "cli/inputs.h"
#include "cli/prediction.h"
#include "validate/ranking_case.h"
#include "validate/ranking_measure.h"
#include "validate/ranking_score.h"

namespace shardlab {

/// How workloads are predicted and run by `validate ranking`.
struct RankingRuns {
  std::vector<std::string> policies;
  std::uint64_t seed = 1;
  Engine* engine = nullptr;                 ///< Null where all devices are emulated.
  const std::atomic<bool>* stop = nullptr;  ///< Set: runs end soon.
};

/// One workload, predicted under every policy.
struct PredictedCase {
  Inputs inputs;
  std::vector<Prediction> predictions;  ///< Per policy, without noise.
  /// Of predictions the mean of replications: units vary as emulated ones did in `overhead`, or as
  /// the profile measured. Nothing is measured yet.
  RankedCase ranked;
};

/// Throws Error naming the case where a plan cannot run.
PredictedCase predicted_case(const RankingCase& drawn, const RankingRuns& how,
                             const EmulationOverhead& overhead);

/// One run under the policy. Throws Error where a job was stopped and `how.stop` is not set.
MeasuredRun run_case(const PredictedCase& predicted, std::size_t policy, const RankingRuns& how);

/// A case as cases.json has it, for models of others: bench/naive_ranking.py.
nlohmann::ordered_json case_json(const PredictedCase& predicted,
                                 const std::vector<Stretch>& stretches);

}  // namespace shardlab
