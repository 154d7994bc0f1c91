#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/time.h"
#include "report/statistics.h"
#include "study/instance.h"
#include "traces/study_file.h"

namespace shardlab {

/// How one policy did in one setting. Gaps are makespan / lower bound − 1, instance by instance.
struct PolicyInCell {
  std::vector<Duration> makespans;  ///< Per instance.
  MeanInterval gap;
  double worst = 0;        ///< The largest gap.
  AgainstBest against;     ///< Differences of gaps, against the policy of the smallest mean gap.
  MeanInterval over_best;  ///< Makespan / that policy's − 1, in the same instances.
  MeanInterval against_baseline;  ///< Makespan / the baseline's − 1, in the same instances.
  double worst_against_baseline = 0;

  /// Nothing tells it from the best: it is that, or ties with it.
  [[nodiscard]] bool ties_with_best() const {
    return against.difference.mean == 0 || against.verdict == "tie";
  }
};

struct CellResult {
  StudyCell cell;
  std::vector<Duration> bounds;        ///< Per instance.
  std::vector<std::string> bound_by;   ///< Which bound that is; see policies/bounds.h.
  std::vector<PolicyInCell> policies;  ///< In the order of StudyGrid::policies.
};

/// A grid, simulated.
struct Study {
  /// With its policies and its baseline named; `instances` are those of every cell.
  StudyGrid grid;
  std::uint64_t seed = 1;
  std::vector<CellResult> cells;
  std::int64_t wanted = 0;  ///< Instances; more than there are if `progress` ended it.
};

/// Called on any thread after each instance; how many were simulated, of how many. Returns false to
/// end it there.
using StudyProgress = std::function<bool(std::size_t done, std::size_t of)>;

/// Simulates every policy on every instance of every cell, on up to `threads` threads; the result
/// does not depend on how many. Kept is one number per simulation. Ended by `progress`, it has the
/// instances that are done in all cells, and is what a grid of so many gives; no cells if there are
/// none.
///
/// Without policies in the grid it takes all; without a baseline lrtf or, where that is not among
/// them, the first. Throws Error naming the grid's file and line of the policy that is not known or
/// fails, with the cell; the cell that cannot be simulated; and when the grid has more than
/// kMostSimulations.
Study run_study(StudyGrid grid, std::uint64_t seed, std::size_t threads,
                const StudyProgress& progress);

/// Those that the grid names, else all.
std::vector<std::string> policies_of(const StudyGrid& grid);

/// Of the grid's policies; how many there are, if it is none.
std::size_t index_of(const StudyGrid& grid, const std::string& policy);

/// Time / reference − 1, one by one.
std::vector<double> all_over(const std::vector<Duration>& times,
                             const std::vector<Duration>& references);

/// Of policies that draw, in the instance of this number.
std::uint64_t policy_seed(std::uint64_t seed, std::int64_t instance);

constexpr std::int64_t kMostSimulations = 2'000'000;

/// Over all cells of a study, each with the same weight.
struct PolicySummary {
  double mean_gap = 0;
  double worst_gap = 0;  ///< Of any instance.
  std::size_t best = 0;  ///< Cells in which it is best or ties with the best.
  double against_baseline = 0;
  double worst_cell = 0;  ///< The largest mean against the baseline in a cell.
  std::string worst_cell_name;
  double most_over_best = 0;  ///< The largest mean over the best policy of a cell.
  std::string most_over_best_name;
};

/// In the order of StudyGrid::policies.
std::vector<PolicySummary> summarize(const Study& study);

}  // namespace shardlab
