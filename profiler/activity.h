#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/device_work.h"
#include "profiler/intervals.h"

namespace shardlab {

enum class ActivityKind : std::uint8_t { kKernel, kCopy, kSet };

/// Something a device did, as CUPTI recorded it. The clock is CLOCK_REALTIME, in nanoseconds; CUPTI
/// converts the device's times to it.
struct Activity {
  ActivityKind kind{};
  CopyDirection direction = CopyDirection::kOther;  ///< Of copies.
  bool pinned = false;  ///< Of copies between host and device: the host's side is page-locked.
  std::uint32_t device = 0;
  std::uint32_t context = 0;
  std::uint32_t stream = 0;
  std::uint32_t correlation = 0;  ///< Shared with the call that launched it.
  std::uint64_t range = 0;        ///< Given to push_range() by the launching thread; 0: none.
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::int64_t launch_start_ns = 0;  ///< The host's call that launched it. 0: unknown.
  std::int64_t launch_end_ns = 0;
  Bytes bytes = 0;   ///< Of copies and sets.
  std::string name;  ///< Of kernels, as the linker knows it.
};

/// What one session recorded, and what it could not.
struct ActivityLog {
  std::vector<Activity> activities;  ///< By start; equal ones by device, stream and correlation.
  std::vector<Interval> overheads;  ///< When CUPTI or the driver's compiler got in the way; merged.
  std::int64_t overhead_ns = 0;     ///< The sum of `overheads`.

  // Records that are not in `activities`, by reason.
  std::int64_t dropped = 0;         ///< CUPTI had no room for them.
  std::int64_t bad_times = 0;       ///< No start, or an end before it: the clock was not read.
  std::int64_t early_starts = 0;    ///< Started before their own launch.
  std::int64_t bad_host_times = 0;  ///< Launches and overheads without valid times.
  std::int64_t unknown_kinds = 0;   ///< Nobody asked for them, or CUPTI itself does not know them.
  std::int64_t truncated_buffers = 0;  ///< Ended within a record.
  std::int64_t unread_bytes = 0;       ///< Behind the place where a buffer could not be read on.
  std::int64_t bad_sizes = 0;          ///< Of more bytes than 63 bits count.

  /// Of `activities`, those whose correlation several calls of the runtime have: CUPTI's counter of
  /// 32 bits came round. Neither their launch nor their range is known.
  std::int64_t reused_ids = 0;

  std::int64_t range_errors = 0;  ///< Calls of push_range() and pop_range() that failed.

  bool incomplete = false;  ///< Activities are missing, or all of them; `problems` says why.
  std::vector<std::string> problems;
};

}  // namespace shardlab
