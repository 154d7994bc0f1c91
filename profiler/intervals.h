#pragma once

#include <cstdint>
#include <vector>

#include "core/time.h"

namespace shardlab {

/// Nanoseconds on one clock, the end excluded. Requires 0 <= start_ns <= end_ns.
struct Interval {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  bool operator==(const Interval&) const = default;
};

/// The union of intervals: what several cover is counted once.
class Coverage {
 public:
  Coverage() = default;
  explicit Coverage(std::vector<Interval> intervals);

  /// Disjoint, in order; neighbours that touch are one. Empty intervals are left out.
  [[nodiscard]] const std::vector<Interval>& intervals() const { return merged_; }
  [[nodiscard]] Duration total() const;
  /// What of `window` is covered. O(log intervals).
  [[nodiscard]] Duration within(const Interval& window) const;

 private:
  /// What is covered before `instant_ns`.
  [[nodiscard]] std::int64_t before(std::int64_t instant_ns) const;

  std::vector<Interval> merged_;
  std::vector<std::int64_t> sums_;  ///< Covered before the end of each interval.
};

}  // namespace shardlab
