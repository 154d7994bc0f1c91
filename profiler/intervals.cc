#include "profiler/intervals.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace shardlab {

Coverage::Coverage(std::vector<Interval> intervals) : merged_(std::move(intervals)) {
  std::sort(merged_.begin(), merged_.end(),
            [](const Interval& a, const Interval& b) { return a.start_ns < b.start_ns; });
  std::size_t kept = 0;
  for (const Interval interval : merged_) {
    if (interval.start_ns == interval.end_ns) continue;
    if (kept > 0 && interval.start_ns <= merged_[kept - 1].end_ns) {
      merged_[kept - 1].end_ns = std::max(merged_[kept - 1].end_ns, interval.end_ns);
    } else {
      merged_[kept++] = interval;
    }
  }
  merged_.resize(kept);
  sums_.reserve(kept);
  std::int64_t sum = 0;
  for (const Interval& interval : merged_) {
    sum += interval.end_ns - interval.start_ns;
    sums_.push_back(sum);
  }
}

Duration Coverage::total() const { return Duration(sums_.empty() ? 0 : sums_.back()); }

Duration Coverage::within(const Interval& window) const {
  return Duration(before(window.end_ns) - before(window.start_ns));
}

std::int64_t Coverage::before(std::int64_t instant_ns) const {
  const auto next =
      std::upper_bound(merged_.begin(), merged_.end(), instant_ns,
                       [](std::int64_t at, const Interval& i) { return at < i.start_ns; });
  if (next == merged_.begin()) return 0;
  const auto last = static_cast<std::size_t>(next - merged_.begin()) - 1;
  return sums_[last] - std::max<std::int64_t>(0, merged_[last].end_ns - instant_ns);
}

}  // namespace shardlab
