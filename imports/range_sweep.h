#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "imports/sorted_records.h"

namespace shardlab {

/// Finds the ranges of a thread that hold an instant of it, for instants by thread and time. Ranges
/// have thread, start_ns and end_ns, which is still in them, and come by thread and start, outer
/// ones first.
template <typename Range>
class RangeSweep {
 public:
  /// So many may hold one instant; what begins within them is passed over.
  static constexpr std::size_t kDeepest = 4096;

  explicit RangeSweep(SortedRecords<Range>& ranges)
      : ranges_(ranges.read()), next_(ranges_.next()) {}

  /// Those that hold the instant, outermost first. Valid until the next call.
  std::span<const Range> holding(std::uint64_t thread, std::int64_t at_ns) {
    // What overlaps without being nested may end below what is still open.
    std::erase_if(
        open_, [&](const Range& range) { return range.thread != thread || range.end_ns < at_ns; });
    for (; next_ != nullptr && begun(*next_, thread, at_ns); next_ = ranges_.next()) {
      if (next_->thread != thread || next_->end_ns < at_ns) continue;
      if (open_.size() < kDeepest) {
        open_.push_back(*next_);
      } else {
        ++passed_over_;
      }
    }
    return open_;
  }
  [[nodiscard]] std::int64_t passed_over() const { return passed_over_; }

 private:
  static bool begun(const Range& range, std::uint64_t thread, std::int64_t at_ns) {
    return std::pair(range.thread, range.start_ns) <= std::pair(thread, at_ns);
  }

  typename SortedRecords<Range>::Reader ranges_;
  const Range* next_;
  std::vector<Range> open_;
  std::int64_t passed_over_ = 0;
};

}  // namespace shardlab
