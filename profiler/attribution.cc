#include "profiler/attribution.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "profiler/intervals.h"

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

/// What one range did on one device.
struct DeviceWork {
  std::vector<Interval> busy;
  std::map<CopyClass, std::vector<Interval>> copies;
  Interval span{std::numeric_limits<std::int64_t>::max(), 0};
};

/// A range while its activities come in.
struct RangeWork {
  RangeTimes times;
  std::map<std::uint32_t, DeviceWork> devices;

  void add(const Activity& activity) {
    DeviceWork& device = devices[activity.device];
    const Interval interval{activity.start_ns, activity.end_ns};
    device.span.start_ns = std::min(device.span.start_ns, interval.start_ns);
    device.span.end_ns = std::max(device.span.end_ns, interval.end_ns);
    if (activity.kind == ActivityKind::kCopy) {
      const CopyClass copy_class{activity.direction, activity.pinned};
      CopyTotals& totals = times.copies[copy_class];
      ++totals.count;
      totals.bytes += activity.bytes;
      device.copies[copy_class].push_back(interval);
    } else {
      ++(activity.kind == ActivityKind::kKernel ? times.kernels : times.sets);
      device.busy.push_back(interval);
    }
  }
};

/// `all` covers what any range did, per device.
RangeTimes finish(RangeWork work, const std::map<std::uint32_t, Coverage>& all,
                  const Coverage& overheads) {
  RangeTimes times = std::move(work.times);
  Interval whole{std::numeric_limits<std::int64_t>::max(), 0};
  for (auto& [device, did] : work.devices) {
    times.busy += Coverage(std::move(did.busy)).total();
    for (auto& [copy_class, intervals] : did.copies) {
      times.copies[copy_class].busy += Coverage(std::move(intervals)).total();
    }
    const Duration length(did.span.end_ns - did.span.start_ns);
    times.gaps += length - all.at(device).within(did.span);
    times.overhead += overheads.within(did.span);
    whole.start_ns = std::min(whole.start_ns, did.span.start_ns);
    whole.end_ns = std::max(whole.end_ns, did.span.end_ns);
  }
  if (!work.devices.empty()) {
    times.first_start_ns = whole.start_ns;
    times.last_end_ns = whole.end_ns;
  }
  return times;
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
  Attribution found;
  std::map<std::uint64_t, RangeWork> ranges;
  std::map<std::uint32_t, std::vector<Interval>> intervals;
  for (const Activity& activity : log.activities) {
    const std::uint64_t range = range_of(activity, launches, found);
    RangeWork& work = ranges[range];
    work.add(activity);
    if (range != activity.range) ++work.times.by_launch;
    intervals[activity.device].push_back({activity.start_ns, activity.end_ns});
  }
  std::map<std::uint32_t, Coverage> all;
  for (auto& [device, covered] : intervals) all.emplace(device, Coverage(std::move(covered)));
  const Coverage overheads(log.overheads);
  for (auto& [range, work] : ranges) {
    RangeTimes times = finish(std::move(work), all, overheads);
    (range == 0 ? found.unattributed : found.ranges[range]) = std::move(times);
  }
  return found;
}

}  // namespace shardlab
