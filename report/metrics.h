#pragma once

#include <cstdint>
#include <vector>

#include "core/timeline.h"
#include "sched/driver.h"

namespace shardlab {

/// Where one device's compute lane spent the makespan. Each nanosecond counts once, under the first
/// of these that holds, so that the parts add up to the makespan exactly.
struct LaneTime {
  Duration busy{};      ///< A unit computes.
  Duration copying{};   ///< The lane itself copies (devices without a copy engine).
  Duration tail{};      ///< After the lane's last unit or copy.
  Duration dispatch{};  ///< A unit has all its inputs here and does not run yet.
  Duration
      waiting_for_copy{};  ///< A ready unit is claimed and has its memory; an input is missing.
  Duration waiting_for_memory{};  ///< A ready unit is claimed, but there is no room for it.
  Duration waiting_for_job{};     ///< Nothing is claimed that is ready.

  [[nodiscard]] Duration sum() const {
    return busy + copying + tail + dispatch + waiting_for_copy + waiting_for_memory +
           waiting_for_job;
  }
};

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
  Duration unit_time{};  ///< Sum over all units, as they ran.

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

/// Without a timeline. A claim that was given back counts as occupied here, in metrics() not.
Utilization utilization(const Outcome& outcome);

/// From arrival to end, in seconds, over the jobs that completed; 0 without one.
struct CompletionTimes {
  double mean = 0, p95 = 0, largest = 0;
};

CompletionTimes completion_times(const std::vector<JobEnd>& jobs);

/// Of several units claimed at once the one furthest along says what the device waits for. Spans
/// are cut at the makespan.
Metrics metrics(const Timeline& timeline);

}  // namespace shardlab
