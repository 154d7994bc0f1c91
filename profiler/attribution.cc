#include "profiler/attribution.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "profiler/intervals.h"
#include "profiler/work_sums.h"

namespace shardlab {
namespace {

/// Finds the windows that hold an instant.
class Windows {
 public:
  explicit Windows(std::span<const LaunchWindow> windows)
      : windows_(windows.begin(), windows.end()) {
    for (const LaunchWindow& window : windows_) {
      if (window.range != 0 && window.begin_ns <= window.end_ns) continue;
      throw Error(
          fmt::format("launch window of range {} from {} to {} ns: give it a range that is "
                      "not 0, and an end behind its begin",
                      window.range, window.begin_ns, window.end_ns));
    }
    std::sort(windows_.begin(), windows_.end(),
              [](const auto& a, const auto& b) { return a.begin_ns < b.begin_ns; });
    std::int64_t last = std::numeric_limits<std::int64_t>::min();
    for (const LaunchWindow& window : windows_) {
      last = std::max(last, window.end_ns);
      last_ends_.push_back(last);
    }
  }

  /// The ranges with a window that holds `instant_ns`.
  [[nodiscard]] std::set<std::uint64_t> holding(std::int64_t instant_ns) const {
    std::set<std::uint64_t> ranges;
    const auto begun =
        std::upper_bound(windows_.begin(), windows_.end(), instant_ns,
                         [](std::int64_t at, const auto& window) { return at < window.begin_ns; });
    // Back through those that began before, until none of the rest reaches this far.
    for (auto i = static_cast<std::size_t>(begun - windows_.begin()); i-- > 0;) {
      if (last_ends_[i] <= instant_ns) break;
      if (windows_[i].end_ns > instant_ns) ranges.insert(windows_[i].range);
    }
    return ranges;
  }

 private:
  std::vector<LaunchWindow> windows_;    ///< By begin.
  std::vector<std::int64_t> last_ends_;  ///< The latest end up to each.
};

/// Adds what a range did on one device.
void add(const WorkSum& from, const Coverage& overheads, RangeTimes& to) {
  const bool first = to.last_end_ns == 0;
  to.busy += from.busy;
  to.waiting += from.waiting;
  to.gaps += from.gaps;
  for (const auto& [of, totals] : from.copies) add(to.copies, of, totals);
  to.overhead += overheads.within({from.first_start_ns, from.last_end_ns});
  to.first_start_ns =
      first ? from.first_start_ns : std::min(to.first_start_ns, from.first_start_ns);
  to.last_end_ns = std::max(to.last_end_ns, from.last_end_ns);
}

void count(const Activity& activity, RangeTimes& times) {
  if (activity.kind == ActivityKind::kKernel) ++times.kernels;
  if (activity.kind == ActivityKind::kSet) ++times.sets;
}

/// The range that an activity belongs to, 0 for none; counts how that was found.
std::uint64_t range_of(const Activity& activity, const Windows& windows, Attribution& found) {
  if (activity.launch_start_ns == 0) return activity.range;
  const auto holding = windows.holding(activity.launch_start_ns);
  if (activity.range != 0) {
    if (!holding.empty() && !holding.contains(activity.range)) ++found.mismatched;
    return activity.range;
  }
  if (holding.size() > 1) ++found.ambiguous;
  if (holding.size() != 1) return 0;
  ++found.by_launch;
  return *holding.begin();
}

}  // namespace

Attribution attribute(const ActivityLog& log, std::span<const LaunchWindow> windows) {
  const Windows launches(windows);
  const Coverage overheads(log.overheads);
  Attribution found;
  const auto times_of = [&](std::uint64_t range) -> RangeTimes& {
    return range == 0 ? found.unattributed : found.ranges[range];
  };
  std::map<std::uint32_t, WorkSums<std::uint64_t>> devices;
  for (const Activity& activity : log.activities) {
    const std::uint64_t range = range_of(activity, launches, found);
    RangeTimes& times = times_of(range);
    count(activity, times);
    if (range != activity.range) ++times.by_launch;
    WorkSums<std::uint64_t>& device = devices[activity.device];
    const Interval when{activity.start_ns, activity.end_ns};
    if (activity.kind == ActivityKind::kCopy) {
      device.copy(range, when, {activity.direction, activity.pinned}, activity.bytes);
    } else {
      device.work(range, when);
    }
  }
  for (auto& [number, device] : devices) {
    device.put_away(
        std::numeric_limits<std::int64_t>::max(),
        [&](std::uint64_t range, const WorkSum& did) { add(did, overheads, times_of(range)); });
  }
  return found;
}

}  // namespace shardlab
