#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/large_array.h"

namespace shardlab {

/// The least of n keys under point updates: a complete binary tree whose nodes hold the least key
/// below them and whose it is. Ties go to the lower owner. An update walks one path up, whose nodes
/// are known beforehand, without a branch that could be mispredicted; scanning is 5 to 20 times
/// slower at 64 to 512 keys, and a heap is slower than the tree.
class WinnerTree {
 public:
  using Key = std::int64_t;
  static constexpr Key kAbsent = std::numeric_limits<Key>::max();

  explicit WinnerTree(std::size_t size)
      : leaves_(std::bit_ceil(std::max<std::size_t>(size, 2))), nodes_(2 * leaves_, kNobody) {}

  void set(std::size_t leaf, Key key) { set(leaf, key, leaf); }
  /// Its key belongs to `owner`.
  void set(std::size_t leaf, Key key, std::uint64_t owner) {
    put(leaf, (static_cast<Node>(key) << 64) | owner);
  }
  void clear(std::size_t leaf) { put(leaf, kNobody); }

  [[nodiscard]] bool empty() const { return nodes_[1] == kNobody; }
  [[nodiscard]] Key top() const { return key_of(nodes_[1]); }
  /// Whose key it is. Requires: not empty.
  [[nodiscard]] std::uint64_t winner() const { return static_cast<std::uint64_t>(nodes_[1]); }

  /// The least key but for the winner's, and whose it is. Requires: each leaf owns its key.
  struct Entry {
    Key key;
    std::uint64_t owner;
  };
  [[nodiscard]] Entry second() const {
    Node second = kNobody;
    for (std::size_t node = leaves_ + winner(); node > 1; node /= 2) {
      second = std::min(second, nodes_[node ^ 1]);
    }
    return {key_of(second), static_cast<std::uint64_t>(second)};
  }
  /// A leaf that is about to be set, in a tree that is larger than the nearest caches.
  void fetch(std::size_t leaf) const {
    if (leaves_ < 4096) return;
    for (std::size_t node = leaves_ + leaf; node >= 512; node /= 2)
      __builtin_prefetch(&nodes_[node]);
  }

 private:
  /// Key above owner: one comparison decides ties too, and compilers make no branch of it.
  __extension__ using Node = __int128;
  static constexpr Node kNobody = (static_cast<Node>(kAbsent) << 64) | UINT64_MAX;
  static Key key_of(Node node) { return static_cast<Key>(node >> 64); }

  void put(std::size_t leaf, Node winner) {
    char* const nodes = reinterpret_cast<char*>(nodes_.data());
    // In bytes: counted in nodes, each would be multiplied twice.
    constexpr std::size_t kSize = sizeof(Node);
    std::size_t at = (leaves_ + leaf) * kSize;
    *reinterpret_cast<Node*>(nodes + at) = winner;
    while (at > kSize) {
      winner = std::min(winner, *reinterpret_cast<const Node*>(nodes + (at ^ kSize)));
      at = at / 2 & ~(kSize - 1);
      *reinterpret_cast<Node*>(nodes + at) = winner;
    }
  }

  std::size_t leaves_;
  LargeArray<Node> nodes_;  ///< Root at 1, children of i at 2i and 2i+1.
};

}  // namespace shardlab
