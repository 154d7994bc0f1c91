#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "core/device_work.h"
#include "core/time.h"
#include "profiler/activity.h"

namespace shardlab {

/// What the activities of one range took. A range on several devices has the sum over them.
struct RangeTimes {
  Duration busy{};      ///< The union of its kernels and sets: what overlaps counts once.
  Duration waiting{};   ///< Between two of those that nothing of another range came between.
  Duration gaps{};      ///< Of that, while nothing was copied either.
  Duration overhead{};  ///< From its first start to its last end, under CUPTI's own overhead.
  std::int64_t first_start_ns = 0;  ///< On the clock of the log, over all devices.
  std::int64_t last_end_ns = 0;
  std::int64_t kernels = 0;
  std::int64_t sets = 0;
  std::int64_t by_launch = 0;  ///< Activities without an id that are here by their launch.
  std::map<CopyClass, CopyTotals> copies;
};

/// When a thread launched the work of a range, by CLOCK_REALTIME; the end is excluded.
struct LaunchWindow {
  std::uint64_t range = 0;  ///< Not 0. A range may have several windows.
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
};

struct Attribution {
  std::map<std::uint64_t, RangeTimes> ranges;
  RangeTimes unattributed;      ///< What belongs to no range.
  std::int64_t mismatched = 0;  ///< Launched in windows of other ranges, and in none of their own.
  std::int64_t by_launch = 0;   ///< Without an id, launched in the windows of one range only.
  std::int64_t ambiguous = 0;   ///< Without an id, launched in windows of several; unattributed.
};

/// Times per range. Windows are a second opinion on the ids that CUPTI recorded, and stand in where
/// there is none. Throws Error when a window has no range, or ends before it begins.
Attribution attribute(const ActivityLog& log, std::span<const LaunchWindow> windows = {});

}  // namespace shardlab
