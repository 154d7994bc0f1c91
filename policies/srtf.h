#pragma once

#include "sched/candidate_index.h"

namespace shardlab {

/// Shortest remaining time first: finishes jobs early, at the price of a longer makespan.
/// Source: Schrage, "A proof of the optimality of the shortest remaining processing time
/// discipline" (1968).
struct SrtfKey {
  CandidateIndex::Key operator()(const Candidate& unit) const { return -unit.remaining.count(); }
};

class Srtf final : public RankedPolicy<SrtfKey> {
 public:
  explicit Srtf(std::size_t tracks) : RankedPolicy(tracks, {}, /*lookahead=*/true) {}
};

}  // namespace shardlab
