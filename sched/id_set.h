#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace shardlab {

/// A set of small integers, walked in ascending order: devices choose in the order of their ids. Up
/// to 64 it is one word; else one word tells which of the others are not zero, so that ten thousand
/// devices that are all busy cost one look.
class IdSet {
 public:
  static constexpr std::size_t kEnd = SIZE_MAX;

  explicit IdSet(std::size_t size)
      : words_(size <= 64 ? 0 : (size + 63) / 64), small_(size <= 64) {}

  void insert(std::size_t id) {
    if (!small_) {
      words_[id / 64] |= bit(id);
      id /= 64;
    }
    used_ |= bit(id);
  }
  void erase(std::size_t id) {
    if (!small_) {
      const std::uint64_t left = words_[id / 64] &= ~bit(id);
      id /= 64;
      if (left != 0 || (words_.size() > 64 && others_used(id))) return;
    }
    used_ &= ~bit(id);
  }
  [[nodiscard]] bool contains(std::size_t id) const {
    return ((small_ ? used_ : words_[id / 64]) & bit(id)) != 0;
  }
  [[nodiscard]] bool empty() const { return used_ == 0; }

  /// The lowest member that is at least `from`, or kEnd.
  [[nodiscard]] std::size_t next(std::size_t from) const {
    if (!small_) return next_in_words(from);
    const std::uint64_t here = from < 64 ? used_ & above(from) : 0;
    return here != 0 ? lowest(here) : kEnd;
  }

 private:
  [[nodiscard]] std::size_t next_in_words(std::size_t from) const {
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

  std::vector<std::uint64_t> words_;  ///< Empty where one is enough.
  /// That one; else which words are not zero, by their number modulo 64.
  std::uint64_t used_ = 0;
  bool small_;
};

}  // namespace shardlab
