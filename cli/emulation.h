#pragma once

#include "core/cluster.h"
#include "core/profile.h"
#include "core/timeline.h"

namespace shardlab {

/// What a unit of an emulated device takes beyond its own time on this machine, now: decision,
/// hand-over and wake-ups. Means over a run of a third of a second on as many emulated devices.
struct EmulationOverhead {
  Duration alone{};   ///< One job that goes from device to device.
  Duration loaded{};  ///< Two jobs per device.
  Timeline timeline;  ///< Of the latter: how units vary.
};
EmulationOverhead measure_emulation(const Cluster& cluster);

/// The profile with that as its dispatch: for predictions of emulated runs.
Profile with_dispatch(Profile profile, const EmulationOverhead& overhead);

}  // namespace shardlab
