#pragma once

#include "sched/candidate_index.h"

namespace shardlab {

/// Longest remaining time first: of the jobs whose next unit is ready, the one with most time left
/// to its end. For a buffer it also looks at units that become ready before the device is free.
/// Source: Sharded-LRTF, Algorithm 2 of "Hydra" (arXiv 2110.08633), with completion lookahead.
struct LrtfKey {
  CandidateIndex::Key operator()(const Candidate& unit) const { return unit.remaining.count(); }
};

class Lrtf final : public RankedPolicy<LrtfKey> {
 public:
  explicit Lrtf(std::size_t tracks) : RankedPolicy(tracks, {}, /*lookahead=*/true) {}
};

}  // namespace shardlab
