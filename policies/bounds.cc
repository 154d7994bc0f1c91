#include "policies/bounds.h"

#include <algorithm>
#include <vector>

namespace shardlab {
namespace {

Duration least(const Unit& unit) { return std::min(unit.alone.total, unit.loaded.total); }

Duration share(Duration sum, std::size_t devices) {
  const auto count = static_cast<Duration::rep>(std::max<std::size_t>(devices, 1));
  return Duration{(sum.count() + count - 1) / count};
}

Duration link_bound(const Program& program, const Cluster& cluster) {
  Bytes bytes = 0;
  for (const JobProgram& job : program.jobs) {
    if (job.minibatches == 0) continue;
    for (const Item& item : job.items) bytes += item.lasting ? item.bytes : 0;
  }
  if (cluster.devices.empty()) return {};
  double rate = 0;
  for (const DeviceSpec& device : cluster.devices) {
    if (device.link.bytes_per_second <= 0) return {};
    rate += device.link.bytes_per_second;
  }
  return Duration{static_cast<Duration::rep>(static_cast<double>(bytes) / rate * 1e9)};
}

}  // namespace

Duration Bounds::greatest() const { return std::max({work, longest, bound, in_turn, link}); }

Bounds bounds(const Program& program, const Cluster& cluster) {
  Bounds found;
  Duration sum{};
  std::vector<Duration> bound(cluster.devices.size());
  for (const JobProgram& job : program.jobs) {
    Duration chain{};
    for (const Unit& unit : job.units) {
      const Duration time = job.minibatches * least(unit);
      chain += time;
      if (unit.bound != kNoDevice) bound[index(unit.bound)] += time;
    }
    sum += chain;
    found.longest = std::max(found.longest, job.arrival.time_since_epoch() + chain);
  }
  for (const Duration time : bound) found.bound = std::max(found.bound, time);
  found.work = share(sum, cluster.devices.size());
  if (program.admit == 1) found.in_turn = sum;
  found.link = link_bound(program, cluster);
  return found;
}

Duration naive_estimate(const Program& program, const Cluster& cluster) {
  Duration sum{}, longest{};
  for (const JobProgram& job : program.jobs) {
    const Duration chain = job.minibatches * minibatch_time(job);
    sum += chain;
    longest = std::max(longest, chain);
  }
  if (program.admit == 1) return sum;
  return std::max(share(sum, cluster.devices.size()), longest);
}

}  // namespace shardlab
