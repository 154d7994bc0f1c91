#pragma once

#include "core/time.h"

namespace shardlab {

/// Where one device's compute lane spent the makespan. Each nanosecond counts once, so that the
/// parts add up to the makespan exactly.
struct LaneTime {
  Duration busy{};      ///< A unit computes.
  Duration copying{};   ///< The lane itself copies (devices without a copy engine).
  Duration tail{};      ///< After the lane's last unit or copy.
  Duration dispatch{};  ///< A unit has all its inputs here and does not run yet.
  Duration
      waiting_for_copy{};  ///< A ready unit is claimed and has its memory; an input is missing.
  Duration waiting_for_memory{};  ///< A ready unit is claimed, but there is no room for it.
  Duration waiting_for_job{};     ///< Nothing is claimed that is ready.
  Duration reducing{};  ///< Gradients of replicas are added up: nothing computes meanwhile.
  Duration lost{};      ///< A unit ran that came to nothing: the device was lost, or it failed.
  Duration absent{};    ///< The device is lost.

  [[nodiscard]] Duration sum() const {
    return busy + copying + tail + dispatch + waiting_for_copy + waiting_for_memory +
           waiting_for_job + reducing + lost + absent;
  }

  LaneTime& operator+=(const LaneTime& other) {
    busy += other.busy;
    copying += other.copying;
    tail += other.tail;
    dispatch += other.dispatch;
    waiting_for_copy += other.waiting_for_copy;
    waiting_for_memory += other.waiting_for_memory;
    waiting_for_job += other.waiting_for_job;
    reducing += other.reducing;
    lost += other.lost;
    absent += other.absent;
    return *this;
  }
};

}  // namespace shardlab
