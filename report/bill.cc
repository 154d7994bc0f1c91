#include "report/bill.h"

namespace shardlab {
namespace {

constexpr double kJoulesPerKwh = 3.6e6, kSecondsPerHour = 3600;

}  // namespace

std::optional<double> Bill::kwh() const {
  if (!joules) return {};
  return *joules / kJoulesPerKwh;
}

Bill bill(const Cluster& cluster, Instant makespan, const std::vector<LaneTime>& lanes) {
  const double all = seconds(makespan);
  double watts = cluster.host_watts, joules = cluster.host_watts * all, cost = 0, price = 0;
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    const Upkeep& upkeep = cluster.devices[d].upkeep;
    const LaneTime& lane = lanes.at(d);
    const double computing = seconds(lane.busy + lane.lost), there = all - seconds(lane.absent);
    joules += upkeep.watts_busy * computing + upkeep.watts_idle * (there - computing);
    cost += upkeep.price_per_hour * there / kSecondsPerHour;
    watts += upkeep.watts_busy;
    price += upkeep.price_per_hour;
  }
  Bill made;
  if (watts > 0) made.joules = joules;
  if (price > 0) made.cost = cost;
  return made;
}

}  // namespace shardlab
