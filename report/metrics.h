#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/lane_time.h"
#include "core/timeline.h"
#include "sched/driver.h"

namespace shardlab {

/// What one device did between 0 and the makespan.
struct DeviceMetrics {
  LaneTime lane;
  Duration occupied{};  ///< A unit is claimed and not done.
  Duration useful{};    ///< Busy without recomputation.
  std::int64_t units = 0;
  Bytes promoted = 0;
  Bytes demoted = 0;
};

/// Everything of a timeline that a table shows. Fractions are of the makespan, 0 where that is 0.
struct Metrics {
  Instant makespan{};
  std::vector<DeviceMetrics> devices;
  Duration unit_time{};  ///< Sum over all units that compute, as they ran.

  [[nodiscard]] double fraction(Duration part) const;
  [[nodiscard]] double busy() const;      ///< Mean over the devices.
  [[nodiscard]] double occupied() const;  ///< Mean over the devices.
  [[nodiscard]] double useful() const;    ///< Mean over the devices.
  [[nodiscard]] Bytes bytes_moved() const;

  /// (devices × makespan − unit time) / (devices × makespan): all that is not a unit's own
  /// computation.
  [[nodiscard]] double overhead() const;
};

/// Means over the devices, as fractions of the makespan, 0 where that is 0. See DeviceMetrics.
struct Utilization {
  double occupied = 0, busy = 0, useful = 0;
};

/// Without a timeline. A claim that was given back counts as occupied here; in metrics() only where
/// a device was lost or a unit failed.
Utilization utilization(const Outcome& outcome);

/// What lanes did besides computing: means over the devices, as fractions of the makespan, 0 where
/// that is 0. See LaneTime; with Utilization::busy they add up to 1.
struct Idle {
  double copying = 0, waiting_for_copy = 0, waiting_for_memory = 0, waiting_for_job = 0,
         dispatch = 0, tail = 0, reducing = 0, lost = 0, absent = 0;
};

/// Without a timeline: the same as from one. But one that was read from a file does not tell what
/// lost and failed units took and waited for, nor who was absent.
Idle idle(const Outcome& outcome);
Idle idle(const Metrics& metrics);

/// "lane copies 1 %, waiting for a copy 12 %, ..."; reducing, lost and absent where there are any.
std::string idle_text(const Idle& idle);

/// From arrival to end, in seconds, over the jobs that completed.
struct CompletionTimes {
  double mean = 0, p95 = 0, largest = 0;
};

/// Nothing where no job completed.
std::optional<CompletionTimes> completion_times(const std::vector<JobEnd>& jobs);

/// Of several units claimed at once the one furthest along says what the device waits for. Spans
/// are cut at the makespan.
Metrics metrics(const Timeline& timeline);

}  // namespace shardlab
