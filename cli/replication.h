#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/noise.h"
#include "cli/ranked_plans.h"
#include "report/statistics.h"

namespace shardlab {

/// What is kept of a plan's simulations with drawn durations: one value per replication.
struct Replications {
  std::vector<double> makespan_s;
  std::vector<double> completion_s;            ///< Mean over the jobs; empty: once none completed.
  std::vector<double> occupied, busy, useful;  ///< See Utilization.
};

/// Simulates the plan of `prediction` `replications` times on up to `threads` threads; the result
/// does not depend on how many. Throws Error when that would take hours.
Replications replicate(const Inputs& inputs, const Prediction& prediction, const Noise& noise,
                       std::uint64_t seed, std::int64_t replications, std::size_t threads);

/// The same as often, from the seed and with the noise that `source` has.
Replications replicate(const Inputs& inputs, const Prediction& prediction,
                       const NoiseSource& source, std::size_t threads);

/// The first of them, for drawings and files; empty where a timeline would be too large.
Timeline first_replication(const Inputs& inputs, const Prediction& prediction,
                           const NoiseSource& source);

/// All plans of a ranking, and each against the one with the smallest mean makespan.
struct ReplicatedRanking {
  std::vector<Replications> plans;  ///< In the order of Ranking::predictions.
  std::vector<AgainstBest> against;
  std::size_t best = 0;
};

/// Refuses plans of which a replication does not end, unless it is the last.
ReplicatedRanking replicate(const Inputs& inputs, Ranking& ranking, const NoiseSource& source,
                            std::size_t threads);

/// A table of quantities for one plan, of plans for several.
std::string replications_text(const Ranking& ranking, const ReplicatedRanking& replicated,
                              const NoiseSource& source);

/// {"units", "copies", "seed", "replications"}.
nlohmann::ordered_json noise_json(const NoiseSource& source);

/// Per quantity mean, half_width, min, p5, median, p95 and max; and against the best.
nlohmann::ordered_json replications_json(const Replications& made, const AgainstBest& against);

}  // namespace shardlab
