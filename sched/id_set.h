#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace shardlab {

/// A set of small integers, walked in ascending order: devices choose in the order of their ids.
class IdSet {
 public:
  static constexpr std::size_t kEnd = SIZE_MAX;

  explicit IdSet(std::size_t size) : words_((size + 63) / 64) {}

  void insert(std::size_t id) { words_[id / 64] |= bit(id); }
  void erase(std::size_t id) { words_[id / 64] &= ~bit(id); }
  [[nodiscard]] bool contains(std::size_t id) const { return (words_[id / 64] & bit(id)) != 0; }

  /// The lowest member that is at least `from`, or kEnd.
  [[nodiscard]] std::size_t next(std::size_t from) const {
    std::size_t word = from / 64;
    if (word >= words_.size()) return kEnd;
    std::uint64_t bits = words_[word] & (~std::uint64_t{0} << (from % 64));
    while (bits == 0) {
      if (++word == words_.size()) return kEnd;
      bits = words_[word];
    }
    return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
  }

 private:
  static std::uint64_t bit(std::size_t id) { return std::uint64_t{1} << (id % 64); }
  std::vector<std::uint64_t> words_;
};

}  // namespace shardlab
