#pragma once

#include <cstdint>

#include "core/counter_hash.h"
#include "sched/candidate_index.h"

namespace shardlab {

/// A uniform draw among the ready units. Every unit has a number drawn from the seed and its own
/// place (job, minibatch, unit), never from the order of calls; the greatest wins.
/// Source: what Fig. 7 of "Hydra" (arXiv 2110.08633) holds its scheduler against.
struct RandomKey {
  CandidateIndex::Key operator()(const Candidate& unit) const {
    const std::uint64_t bits = counter_hash(
        {seed, index(unit.job), static_cast<std::uint64_t>(unit.minibatch), unit.unit});
    return static_cast<CandidateIndex::Key>(bits >> 1);
  }
  std::uint64_t seed;
};

class Random final : public RankedPolicy<RandomKey> {
 public:
  Random(std::size_t tracks, std::uint64_t seed)
      : RankedPolicy(tracks, {seed}, /*lookahead=*/false) {}
};

}  // namespace shardlab
