#pragma once

#include "sched/candidate_index.h"

namespace shardlab {

/// First in, first out: the unit that became ready first. No lookahead: that would let jobs
/// overtake. Source: first come, first served, the order of a plain queue.
struct FifoKey {
  CandidateIndex::Key operator()(const Candidate& unit) const {
    return -unit.since.time_since_epoch().count();
  }
};

class Fifo final : public RankedPolicy<FifoKey> {
 public:
  explicit Fifo(std::size_t tracks) : RankedPolicy(tracks, {}, /*lookahead=*/false) {}
};

}  // namespace shardlab
