#pragma once

#include <memory>
#include <vector>

#include "sched/policy.h"
#include "sched/winner_tree.h"

namespace shardlab {

/// Candidates by key, greatest first, ties to the lower track: one winner tree for those that any
/// device may take, and one per device that has bound ones.
class CandidateIndex {
 public:
  explicit CandidateIndex(std::size_t tracks)
      : any_(tracks), where_(tracks, kNoDevice), tracks_(tracks) {}

  void set(const Candidate& unit, WinnerTree::Key key) {
    where_[index(unit.track)] = unit.bound;
    tree(unit.bound).set(index(unit.track), key);
  }
  void clear(TrackId track) { tree(where_[index(track)]).clear(index(track)); }

  /// Takes the first out. kNoTrack: there is none for the device.
  TrackId take(DeviceId device) {
    WinnerTree* best = any_.empty() ? nullptr : &any_;
    if (index(device) < bound_.size() && bound_[index(device)] && !bound_[index(device)]->empty()) {
      WinnerTree& own = *bound_[index(device)];
      const bool wins = best == nullptr || own.top() > best->top() ||
                        (own.top() == best->top() && own.winner() < best->winner());
      if (wins) best = &own;
    }
    return best == nullptr ? kNoTrack : track_id(best->take());
  }

 private:
  WinnerTree& tree(DeviceId bound) {
    if (bound == kNoDevice) return any_;
    if (index(bound) >= bound_.size()) bound_.resize(index(bound) + 1);
    auto& own = bound_[index(bound)];
    if (!own) own = std::make_unique<WinnerTree>(tracks_);
    return *own;
  }

  WinnerTree any_;
  std::vector<std::unique_ptr<WinnerTree>> bound_;
  std::vector<DeviceId> where_;
  std::size_t tracks_;
};

/// A policy that is one number per candidate. `Key` is a callable `(const Candidate&) ->
/// WinnerTree::Key`.
template <typename Key>
class RankedPolicy : public Policy {
 public:
  RankedPolicy(std::size_t tracks, Key key, bool lookahead)
      : index_(tracks), key_(std::move(key)), lookahead_(lookahead) {}

  void ready(const Candidate& unit) final { index_.set(unit, key_(unit)); }
  void gone(TrackId track) final { index_.clear(track); }
  TrackId pick(const DeviceView& device) final { return index_.take(device.id); }
  [[nodiscard]] bool lookahead() const final { return lookahead_; }

 private:
  CandidateIndex index_;
  Key key_;
  bool lookahead_;
};

}  // namespace shardlab
