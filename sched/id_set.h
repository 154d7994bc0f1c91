#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace shardlab {

/// A set of small integers, walked in ascending order: devices choose in the order of their ids.
/// One word tells which of the others are not zero, so that ten thousand devices that are all busy
/// cost one look.
class IdSet {
 public:
  static constexpr std::size_t kEnd = SIZE_MAX;

  explicit IdSet(std::size_t size) : words_((size + 63) / 64) {}

  void insert(std::size_t id) {
    words_[id / 64] |= bit(id);
    used_ |= bit(id / 64);
  }
  void erase(std::size_t id) {
    const std::uint64_t left = words_[id / 64] &= ~bit(id);
    if (words_.size() > 64 && left == 0 && others_used(id / 64)) return;
    used_ &= ~(static_cast<std::uint64_t>(left == 0) << (id / 64 % 64));
  }
  [[nodiscard]] bool contains(std::size_t id) const { return (words_[id / 64] & bit(id)) != 0; }
  [[nodiscard]] bool empty() const { return used_ == 0; }

  /// The lowest member that is at least `from`, or kEnd.
  [[nodiscard]] std::size_t next(std::size_t from) const {
    std::size_t word = from / 64;
    if (word >= words_.size()) return kEnd;
    const std::uint64_t here = words_[word] & above(from);
    if (here != 0) return word * 64 + lowest(here);
    for (++word; word < words_.size(); word = (word / 64 + 1) * 64) {
      for (std::uint64_t used = used_ & above(word); used != 0; used &= used - 1) {
        const std::size_t found = word / 64 * 64 + lowest(used);
        if (found >= words_.size()) return kEnd;
        if (words_[found] != 0) return found * 64 + lowest(words_[found]);
      }
    }
    return kEnd;
  }

 private:
  /// Of the words that share its bit in used_.
  [[nodiscard]] bool others_used(std::size_t word) const {
    for (word %= 64; word < words_.size(); word += 64) {
      if (words_[word] != 0) return true;
    }
    return false;
  }
  static std::uint64_t bit(std::size_t id) { return std::uint64_t{1} << (id % 64); }
  static std::uint64_t above(std::size_t id) { return ~std::uint64_t{0} << (id % 64); }
  static std::size_t lowest(std::uint64_t bits) {
    return static_cast<std::size_t>(std::countr_zero(bits));
  }

  std::vector<std::uint64_t> words_;
  std::uint64_t used_ = 0;  ///< Which words are not zero, by their number modulo 64.
};

}  // namespace shardlab
