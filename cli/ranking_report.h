#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/time.h"
#include "validate/ranking_score.h"

namespace shardlab {

/// What `validate ranking` found.
struct RankingFound {
  std::vector<RankedCase> cpu, emulated;
  std::vector<Duration> fixed_work;  ///< Of the same work between CPU workloads.
  Duration dispatch{};               ///< Of a unit of an emulated device, beyond its time.

  /// How much longer the slowest fixed work took than the fastest; 0 without any.
  [[nodiscard]] double drift() const;
};

/// A table: all, cpu and emulated, each predicted by Shardlab, as adjusted and as measured, and by
/// the naive model; and how steady the machine was.
std::string ranking_found_text(const RankingFound& found);

/// The members of docs/formats.md, Ranking, from "pairs" to "dispatch_s".
nlohmann::ordered_json ranking_found_json(const RankingFound& found);

}  // namespace shardlab
