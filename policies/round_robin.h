#pragma once

#include <vector>

#include "sched/candidate_index.h"

namespace shardlab {

/// Round robin: tracks take turns, one unit each. A track's key is the turn in which it was last
/// picked. Source: Kleinrock, "Analysis of a time-shared processor" (1964).
class RoundRobin final : public Policy {
 public:
  explicit RoundRobin(std::size_t tracks) : index_(tracks), last_turn_(tracks) {}

  void ready(const Candidate& unit) override { index_.set(unit, -last_turn_[index(unit.track)]); }
  void gone(TrackId track) override { index_.clear(track); }
  TrackId pick(const DeviceView& device) override {
    const TrackId track = index_.take(device.id);
    if (track != kNoTrack) last_turn_[index(track)] = ++turn_;
    return track;
  }

 private:
  CandidateIndex index_;
  std::vector<std::int64_t> last_turn_;
  std::int64_t turn_ = 0;
};

}  // namespace shardlab
