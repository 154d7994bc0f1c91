#pragma once

#include <vector>

#include "policies/level_hold.h"
#include "sched/candidate_index.h"

namespace shardlab {

/// LRTF with level-hold: a slow device takes the longest job that it does not have to leave to a
/// faster one, and none if it must leave all of them. The rule is in policies/level_hold.h. On
/// equal devices it is LRTF.
class Hold final : public Policy {
 public:
  explicit Hold(std::size_t tracks) : index_(tracks), waiting_(tracks) {}

  void begin(const StateView& view) override { levels_.begin(view); }
  void ready(const Candidate& unit) override {
    levels_.offered(unit);
    waiting_[index(unit.track)] = unit;
    index_.set(unit, unit.remaining.count());
  }
  void gone(TrackId track) override { index_.clear(track); }
  TrackId pick(const DeviceView& device) override {
    TrackId chosen = index_.take(device.id);
    if (!levels_.mixed() || chosen == kNoTrack) return chosen;
    levels_.chooses(device);
    left_.clear();
    while (chosen != kNoTrack && levels_.holds(waiting_[index(chosen)])) {
      left_.push_back(chosen);
      chosen = index_.take(device.id);
    }
    for (const TrackId track : left_) {
      index_.set(waiting_[index(track)], waiting_[index(track)].remaining.count());
    }
    return chosen;
  }
  void completed(JobId job) override { levels_.ended(job); }
  void lost(JobId job) override { levels_.ended(job); }
  [[nodiscard]] bool lookahead() const override { return true; }

 private:
  CandidateIndex index_;
  std::vector<Candidate> waiting_;  ///< Per track, what was offered last.
  LevelHold levels_;
  std::vector<TrackId> left_;
};

}  // namespace shardlab
