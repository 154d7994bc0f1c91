#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace shardlab {

/// A set of small integers, walked in ascending order: devices choose in the order of their ids.
/// Two levels, so that ten thousand devices that are all busy cost three words to look at.
class IdSet {
 public:
  static constexpr std::size_t kEnd = SIZE_MAX;

  explicit IdSet(std::size_t size) : words_((size + 63) / 64), used_((words_.size() + 63) / 64) {}

  void insert(std::size_t id) {
    words_[id / 64] |= bit(id);
    used_[id / 4096] |= bit(id / 64);
  }
  void erase(std::size_t id) {
    words_[id / 64] &= ~bit(id);
    if (words_[id / 64] == 0) used_[id / 4096] &= ~bit(id / 64);
  }
  [[nodiscard]] bool contains(std::size_t id) const { return (words_[id / 64] & bit(id)) != 0; }

  [[nodiscard]] bool empty() const {
    return std::ranges::all_of(used_, [](std::uint64_t words) { return words == 0; });
  }

  /// The lowest member that is at least `from`, or kEnd.
  [[nodiscard]] std::size_t next(std::size_t from) const {
    const std::size_t word = from / 64;
    if (word >= words_.size()) return kEnd;
    const std::uint64_t here = words_[word] & above(from);
    if (here != 0) return word * 64 + lowest(here);
    const std::size_t later = next_used(word + 1);
    return later == kEnd ? kEnd : later * 64 + lowest(words_[later]);
  }

 private:
  static std::uint64_t bit(std::size_t id) { return std::uint64_t{1} << (id % 64); }
  static std::uint64_t above(std::size_t id) { return ~std::uint64_t{0} << (id % 64); }
  static std::size_t lowest(std::uint64_t bits) {
    return static_cast<std::size_t>(std::countr_zero(bits));
  }
  [[nodiscard]] std::size_t next_used(std::size_t word) const {
    std::size_t group = word / 64;
    if (group >= used_.size()) return kEnd;
    std::uint64_t bits = used_[group] & above(word);
    while (bits == 0) {
      if (++group == used_.size()) return kEnd;
      bits = used_[group];
    }
    return group * 64 + lowest(bits);
  }

  std::vector<std::uint64_t> words_;
  std::vector<std::uint64_t> used_;  ///< Which words are not zero.
};

}  // namespace shardlab
