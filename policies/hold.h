#pragma once

#include "policies/level_hold.h"
#include "sched/candidate_index.h"

namespace shardlab {

/// LRTF with level-hold: a slow device takes the longest job that it does not have to leave to a
/// faster one, and none if it must leave all of them. The rule is in policies/level_hold.h. On
/// equal devices it is LRTF. Source: own.
class Hold final : public Policy {
 public:
  explicit Hold(std::size_t tracks) : index_(tracks) {}

  void begin(const StateView& view) override { levels_.begin(view); }
  void ready(const Candidate& unit) override {
    levels_.offered(unit);
    index_.set(unit, key(unit));
  }
  void gone(TrackId track) override { index_.clear(track); }
  TrackId pick(const DeviceView& device) override {
    if (!levels_.mixed()) return index_.take(device.id);
    const TrackId leader = index_.first(device.id).track;
    if (leader == kNoTrack) return kNoTrack;
    const TrackId chosen = levels_.first_not_held(device, leader, index_, key);
    if (chosen != kNoTrack) gone(chosen);
    return chosen;
  }
  void completed(JobId job) override { levels_.ended(job); }
  void lost(JobId job) override { levels_.ended(job); }
  [[nodiscard]] bool lookahead() const override { return true; }

 private:
  static CandidateIndex::Key key(const Candidate& unit) { return unit.remaining.count(); }

  CandidateIndex index_;
  LevelHold levels_;
};

}  // namespace shardlab
