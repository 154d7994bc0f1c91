#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/ids.h"
#include "sched/winner_tree.h"

namespace shardlab {

/// Tracks by key, greatest first, ties to the lower track. What goes leaves its slot in the tree as
/// a hole, which the next one that comes fills: a unit that ends and another that is picked
/// cost one walk from leaf to root, not two.
class CandidateTree {
 public:
  using Key = WinnerTree::Key;

  explicit CandidateTree(std::size_t tracks) : tree_(tracks), slot_(tracks) {}

  [[nodiscard]] bool empty() const { return size_ == 0; }

  /// Requires: the track is not in it.
  void insert(TrackId track, Key key) {
    ++size_;
    std::uint32_t slot = hole_;
    hole_ = kNone;
    if (slot == kNone) slot = free_slot();
    slot_[index(track)] = slot;
    // Least keys come first there; who owns one says too where it is.
    tree_.set(slot, ~key, static_cast<std::uint64_t>(track) << 32 | slot);
  }

  /// Requires: the track is in it.
  void erase(TrackId track) {
    --size_;
    if (hole_ == kNone) {
      leave_hole(slot_[index(track)]);
    } else {
      vacate(slot_[index(track)]);
    }
  }

  /// The greatest. Requires: not empty.
  struct Winner {
    Key key;
    TrackId track;
    [[nodiscard]] bool before(const Winner& other) const {
      return key > other.key || (key == other.key && track < other.track);
    }
  };
  Winner top() {
    assert(size_ > 0);
    if (hole_ != kNone) {
      vacate(hole_);
      hole_ = kNone;
    }
    return {~tree_.top(), TrackId{static_cast<std::uint32_t>(tree_.winner() >> 32)}};
  }
  /// The greatest, which leaves. Requires: not empty.
  TrackId take() {
    const TrackId track = top().track;
    take_top();
    return track;
  }
  /// Requires: nothing has changed since top().
  void take_top() {
    --size_;
    leave_hole(static_cast<std::uint32_t>(tree_.winner()));
  }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  void leave_hole(std::uint32_t slot) {
    hole_ = slot;
    tree_.fetch(slot);
  }
  std::uint32_t free_slot() {
    if (free_.empty()) return used_++;
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void vacate(std::uint32_t slot) {
    tree_.clear(slot);
    free_.push_back(slot);
  }

  WinnerTree tree_;                  ///< Of slots.
  std::vector<std::uint32_t> slot_;  ///< Per track.
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0;      ///< Slots from here on were never used.
  std::uint32_t hole_ = kNone;  ///< Its old key still stands in the tree.
  std::size_t size_ = 0;
};

}  // namespace shardlab
