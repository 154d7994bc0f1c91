#pragma once

#include <limits>
#include <memory>
#include <vector>

#include "sched/candidate_tree.h"
#include "sched/policy.h"

namespace shardlab {

/// Candidates by key, greatest first, ties to the lower track: one tree for those that any device
/// may take, and one per device that has bound ones.
class CandidateIndex {
 public:
  using Key = CandidateTree::Key;

  explicit CandidateIndex(std::size_t tracks)
      : any_(tracks), where_(tracks, kNoDevice), tracks_(tracks) {}

  void set(const Candidate& unit, Key key) {
    const bool bound = unit.bound != kNoDevice || !bound_.empty();
    bound ? set_bound(unit, key) : any_.insert(unit.track, key);
  }
  void clear(TrackId track) { tree(where_[index(track)]).erase(track); }

  /// Takes the first out. kNoTrack: there is none for the device.
  TrackId take(DeviceId device) {
    if (bound_.empty()) return any_.empty() ? kNoTrack : any_.take();
    const First first = find(device);
    if (first.tree != nullptr) first.tree->take_top();
    return first.winner.track;
  }
  /// The first, which stays; its track is kNoTrack if there is none for the device.
  CandidateTree::Winner first(DeviceId device) { return find(device).winner; }

 private:
  struct First {
    CandidateTree* tree = nullptr;
    CandidateTree::Winner winner{std::numeric_limits<Key>::min(), kNoTrack};
  };
  [[gnu::noinline]] void set_bound(const Candidate& unit, Key key) {
    where_[index(unit.track)] = unit.bound;
    tree(unit.bound).insert(unit.track, key);
  }
  First find(DeviceId device) {
    CandidateTree* own = index(device) < bound_.size() ? bound_[index(device)].get() : nullptr;
    if (own != nullptr && own->empty()) own = nullptr;
    if (any_.empty() && own == nullptr) return {};
    CandidateTree* best = any_.empty() ? own : &any_;
    CandidateTree::Winner winner = best->top();
    if (own != nullptr && own != best) {
      const CandidateTree::Winner mine = own->top();
      if (mine.before(winner)) {
        best = own;
        winner = mine;
      }
    }
    return {best, winner};
  }

  CandidateTree& tree(DeviceId bound) { return bound == kNoDevice ? any_ : tree_of(bound); }
  [[gnu::noinline]] CandidateTree& tree_of(DeviceId bound) {
    if (index(bound) >= bound_.size()) bound_.resize(index(bound) + 1);
    auto& own = bound_[index(bound)];
    if (!own) own = std::make_unique<CandidateTree>(tracks_);
    return *own;
  }

  CandidateTree any_;
  std::vector<std::unique_ptr<CandidateTree>> bound_;
  std::vector<DeviceId> where_;
  std::size_t tracks_;
};

/// A policy that is one number per candidate. `Key` is a callable `(const Candidate&) ->
/// CandidateIndex::Key`.
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
