#include "policies/bounds.h"

#include <algorithm>
#include <vector>

namespace shardlab {
namespace {

Duration share(Duration sum, std::size_t devices) {
  const auto count = static_cast<Duration::rep>(std::max<std::size_t>(devices, 1));
  return Duration{(sum.count() + count - 1) / count};
}

Duration link_bound(const Program& program, const Cluster& cluster) {
  Bytes bytes = 0;
  FirstSight first_sight(program);
  for (const JobProgram& job : program.jobs) {
    if (job.minibatches == 0) continue;
    for (const Item& item : job.items) bytes += item.lasting && first_sight(item) ? item.bytes : 0;
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
  const TimeRanges times(program);
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    const JobProgram& job = program.jobs[j];
    for (const Track& track : tracks_of(job)) {
      Duration chain{};
      for (std::uint32_t u = track.first; u < track.first + track.count; ++u) {
        const Duration time = job.minibatches * times.of(job_id(j), u).least;
        chain += time;
        if (job.units[u].bound != kNoDevice) bound[index(job.units[u].bound)] += time;
      }
      sum += chain;
      found.longest = std::max(found.longest, job.arrival.time_since_epoch() + chain);
    }
  }
  for (const Duration time : bound) found.bound = std::max(found.bound, time);
  found.work = share(sum, cluster.devices.size());
  // Tracks of one job run side by side.
  if (program.admit == 1 && track_count(program) == program.jobs.size()) found.in_turn = sum;
  found.link = link_bound(program, cluster);
  return found;
}

Duration naive_estimate(const Program& program, const Cluster& cluster) {
  Duration sum{}, longest{};
  for (const JobProgram& job : program.jobs) {
    sum += job.minibatches * minibatch_time(job);
    for (const Track& track : tracks_of(job)) {
      longest = std::max(longest, job.minibatches * track_time(job, track));
    }
  }
  if (program.admit == 1 && track_count(program) == program.jobs.size()) return sum;
  return std::max(share(sum, cluster.devices.size()), longest);
}

}  // namespace shardlab
