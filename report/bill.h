#pragma once

#include <optional>
#include <vector>

#include "core/cluster.h"
#include "core/lane_time.h"
#include "core/time.h"

namespace shardlab {

/// What a run draws and costs; empty where the cluster does not say.
struct Bill {
  std::optional<double> joules;  ///< Given when a device or the host has watts.
  std::optional<double> cost;    ///< Given when a device has a price, in its currency.

  [[nodiscard]] std::optional<double> kwh() const;
};

/// From 0 to `makespan`: each device draws watts_busy while its units compute, also those that come
/// to nothing, watts_idle all other time that it is there, and costs its price while it is there;
/// the host draws its watts. Requires: one of `lanes` per device.
Bill bill(const Cluster& cluster, Instant makespan, const std::vector<LaneTime>& lanes);

}  // namespace shardlab
