#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "sched/candidate_index.h"

namespace shardlab {

/// Candidates by key, as in a CandidateIndex, for policies that pass over the first few at every
/// choice: those stand in order beside the tree, so that nothing is taken out and put back.
class CandidateFront {
 public:
  using Key = CandidateIndex::Key;

  explicit CandidateFront(std::size_t tracks) : rest_(tracks), bound_(tracks) {}

  void set(const Candidate& unit, Key key) {
    if (unit.bound != kNoDevice) return bound_.set(unit, key);
    const Entry entry{key, unit.track};
    if (front_.empty() || front_.back().before(entry)) return rest_.insert(unit.track, key);
    front_.insert(std::ranges::upper_bound(front_, entry, first_of), entry);
    if (front_.size() <= kMost) return;
    rest_.insert(front_.back().track, front_.back().key);
    front_.pop_back();
  }
  /// `bound` as it was set.
  void clear(TrackId track, DeviceId bound) {
    if (bound != kNoDevice) return bound_.clear(track);
    const auto place = std::ranges::find(front_, track, &Entry::track);
    if (place == front_.end()) return rest_.erase(track);
    front_.erase(place);
  }

  /// The first that `takes`, asked with one track after the other, takes, or that is bound to the
  /// device; kNoTrack if there is none. It stays.
  template <typename Takes>
  TrackId first_that(DeviceId device, const Takes& takes) {
    const Entry bound = bound_.first(device);
    for (std::size_t i = 0; i < front_.size() || draw(); ++i) {
      const Entry next = front_[i];
      if (bound.track != kNoTrack && bound.before(next)) break;
      if (takes(next.track)) return next.track;
    }
    return bound.track;
  }
  TrackId first(DeviceId device) {
    return first_that(device, [](TrackId) { return true; });
  }

 private:
  using Entry = CandidateTree::Winner;
  /// Of which more is not worth moving at every change.
  static constexpr std::size_t kMost = 64;

  static bool first_of(const Entry& one, const Entry& other) { return one.before(other); }
  /// One more in order; false: there is none.
  bool draw() {
    if (rest_.empty()) return false;
    front_.push_back(rest_.top());
    rest_.take_top();
    return true;
  }

  std::vector<Entry> front_;  ///< In order; all before `rest_`.
  CandidateTree rest_;
  CandidateIndex bound_;
};

}  // namespace shardlab
