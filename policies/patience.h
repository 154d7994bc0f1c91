#pragma once

#include <vector>

#include "sched/candidate_index.h"

namespace shardlab {

/// Whether a device goes on with its home (see Homes) rather than take the unit that leads: while
/// the key of the home's unit is behind the leader's by no more than the home's patience.
class Patience {
 public:
  explicit Patience(std::size_t tracks) : waiting_(tracks) {}

  /// Called for all tracks, in their order, before all else.
  void add(double patience) { patience_.push_back(patience); }
  /// A unit is a candidate, under that key; is none any more.
  void offered(const Candidate& unit, CandidateIndex::Key key) {
    waiting_[index(unit.track)] = {key, unit.bound, true};
  }
  void gone(TrackId track) { waiting_[index(track)].there = false; }

  /// The device's home, or the leader.
  [[nodiscard]] TrackId choose(DeviceId device, TrackId home, CandidateTree::Winner leader) const {
    if (home == kNoTrack) return leader.track;
    const Waiting& stays = waiting_[index(home)];
    const bool may = stays.there && (stays.bound == kNoDevice || stays.bound == device);
    const auto behind = static_cast<double>(leader.key - stays.key);
    return may && behind <= patience_[index(home)] ? home : leader.track;
  }

 private:
  struct Waiting {
    CandidateIndex::Key key = 0;
    DeviceId bound = kNoDevice;
    bool there = false;
  };
  std::vector<Waiting> waiting_;  ///< Per track.
  std::vector<double> patience_;  ///< Per track.
};

}  // namespace shardlab
