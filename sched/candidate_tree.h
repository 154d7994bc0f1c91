#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/ids.h"

namespace shardlab {

/// Tracks by key, greatest first, ties to the lower track: a complete binary tree of maxima over
/// slots. What is taken leaves its slot as a hole, which the next one that comes fills: a unit that
/// ends and another that is picked cost one walk from leaf to root, not two. A walk knows its nodes
/// beforehand and has no branch that could be mispredicted.
class CandidateTree {
 public:
  using Key = std::int64_t;
  static constexpr Key kAbsent = std::numeric_limits<Key>::min();

  explicit CandidateTree(std::size_t tracks)
      : leaves_(std::bit_ceil(std::max<std::size_t>(tracks, 2))),
        greatest_(2 * leaves_, kAbsent),
        whose_(2 * leaves_, kNobody),
        slot_(tracks) {}

  [[nodiscard]] bool empty() const { return size_ == 0; }

  /// Requires: the track is not in it.
  void insert(TrackId track, Key key) {
    ++size_;
    std::uint32_t slot = hole_;
    hole_ = kNobody;
    if (slot == kNobody) slot = free_slot();
    slot_[index(track)] = slot;
    set(slot, key, static_cast<std::uint32_t>(track));
  }

  /// Requires: the track is in it.
  void erase(TrackId track) {
    --size_;
    vacate(slot_[index(track)]);
  }

  /// The greatest. Requires: not empty.
  struct Winner {
    Key key;
    TrackId track;
  };
  Winner top() {
    assert(size_ > 0);
    if (hole_ != kNobody) {
      vacate(hole_);
      hole_ = kNobody;
    }
    return {greatest_[1], TrackId{whose_[1]}};
  }
  void take_top() {
    --size_;
    hole_ = slot_[whose_[1]];
  }

 private:
  static constexpr std::uint32_t kNobody = UINT32_MAX;

  std::uint32_t free_slot() {
    if (free_.empty()) return used_++;
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void vacate(std::uint32_t slot) {
    set(slot, kAbsent, kNobody);
    free_.push_back(slot);
  }

  void set(std::uint32_t slot, Key key, std::uint32_t track) {
    // Two arrays, and masks: nodes of two fields are stored as one and read as two, which stalls
    // the core, and of a choice between two values compilers make a branch.
    Key* const greatest = greatest_.data();
    std::uint32_t* const whose = whose_.data();
    std::size_t node = leaves_ + slot;
    greatest[node] = key;
    whose[node] = track;
    while (node > 1) {
      const Key other = greatest[node ^ 1];
      const std::uint32_t others = whose[node ^ 1];
      const auto ties = static_cast<std::uint32_t>(other == key);
      const auto loses = static_cast<std::uint32_t>(other > key) |
                         (ties & static_cast<std::uint32_t>(others < track));
      track ^= (track ^ others) & (0U - loses);
      key = std::max(key, other);
      node /= 2;
      greatest[node] = key;
      whose[node] = track;
    }
  }

  std::size_t leaves_;
  std::vector<Key> greatest_;  ///< Root at 1, children of i at 2i and 2i+1.
  std::vector<std::uint32_t> whose_;
  std::vector<std::uint32_t> slot_;  ///< Per track.
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0;        ///< Slots from here on were never used.
  std::uint32_t hole_ = kNobody;  ///< Its old key still stands in the tree.
  std::size_t size_ = 0;
};

}  // namespace shardlab
