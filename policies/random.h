#pragma once

#include <cstdint>

#include "sched/candidate_index.h"

namespace shardlab {

/// A uniform draw among the ready units. Every unit has a number drawn from the seed and its own
/// place (job, minibatch, unit), never from the order of calls; the greatest wins.
struct RandomKey {
  WinnerTree::Key operator()(const Candidate& unit) const {
    std::uint64_t bits = seed;
    for (const std::uint64_t part :
         {static_cast<std::uint64_t>(index(unit.job)), static_cast<std::uint64_t>(unit.minibatch),
          static_cast<std::uint64_t>(unit.unit)}) {
      bits = mix(bits ^ mix(part + 1));
    }
    return static_cast<WinnerTree::Key>(bits >> 1);
  }
  /// The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
  static std::uint64_t mix(std::uint64_t bits) {
    bits += 0x9e3779b97f4a7c15u;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return bits ^ (bits >> 31);
  }
  std::uint64_t seed;
};

class Random final : public RankedPolicy<RandomKey> {
 public:
  Random(std::size_t jobs, std::uint64_t seed) : RankedPolicy(jobs, {seed}, /*lookahead=*/false) {}
};

}  // namespace shardlab
