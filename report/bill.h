#pragma once

#include <optional>
#include <vector>

#include "core/cluster.h"
#include "core/time.h"

namespace shardlab {

/// What a run draws and costs; empty where the cluster does not say.
struct Bill {
  std::optional<double> joules;  ///< Given when a device or the host has watts.
  std::optional<double> cost;    ///< Given when a device has a price, in its currency.

  [[nodiscard]] std::optional<double> kwh() const;
};

/// From 0 to `makespan`: each device draws watts_busy while its units compute (`busy`, per device),
/// watts_idle all other time, and costs its price all the time; the host draws its watts. Requires:
/// one of `busy` per device.
Bill bill(const Cluster& cluster, Instant makespan, const std::vector<Duration>& busy);

}  // namespace shardlab
