#include "policies/copy_load.h"

#include <algorithm>

namespace shardlab {
namespace {

/// What a copy of some bytes takes on the mean device, in ns.
struct Way {
  double latency = 0, per_byte = 0;
  [[nodiscard]] double time(Bytes bytes) const {
    return bytes == 0 ? 0 : latency + per_byte * static_cast<double>(bytes);
  }
  void add(double ns, double bytes_per_second) {
    latency += ns;
    if (bytes_per_second > 0) per_byte += 1e9 / bytes_per_second;
  }
};

/// Devices below each switch.
std::vector<double> devices_below(const Cluster& cluster) {
  std::vector<double> below(cluster.switches.size());
  for (const DeviceSpec& device : cluster.devices) {
    for (int at = device.parent; at != kNoSwitch;
         at = cluster.switches[static_cast<std::size_t>(at)].parent) {
      ++below[static_cast<std::size_t>(at)];
    }
  }
  return below;
}

/// The least share that a switch above the device leaves each device below it, in bytes per second;
/// 0: no limit.
double share(const Cluster& cluster, const std::vector<double>& below, const DeviceSpec& device,
             bool there) {
  double least = 0;
  for (int at = device.parent; at != kNoSwitch;
       at = cluster.switches[static_cast<std::size_t>(at)].parent) {
    const SwitchSpec& its = cluster.switches[static_cast<std::size_t>(at)];
    for (const double rate : {there ? its.bytes_per_second : its.back_bytes_per_second,
                              its.together_bytes_per_second / 2}) {
      if (rate <= 0) continue;
      const double each = rate / below[static_cast<std::size_t>(at)];
      least = least > 0 ? std::min(least, each) : each;
    }
  }
  return least;
}

Way way(const StateView& view, bool there) {
  const Cluster& cluster = view.cluster();
  const Program& program = view.program();
  const std::vector<double> below = devices_below(cluster);
  Way mean;
  for (const DeviceSpec& device : cluster.devices) {
    const LinkSpec& link = there ? device.link : device.link_back();
    const double own = link.bytes_per_second, shared = share(cluster, below, device, there);
    const double rate = own > 0 && shared > 0 ? std::min(own, shared) : std::max(own, shared);
    mean.add(static_cast<double>(link.latency.count()), rate);
    if (device.copy_engines == 0) {
      mean.add(static_cast<double>(program.copy_loaded.latency.count()),
               program.copy_loaded.bytes_per_second);
    }
  }
  const auto count = static_cast<double>(std::max<std::size_t>(cluster.devices.size(), 1));
  return {mean.latency / count, mean.per_byte / count};
}

Bytes lasting(const JobProgram& job, const ItemList& items) {
  Bytes bytes = 0;
  for (const ItemIndex i : items) bytes += job.items[i].lasting ? job.items[i].bytes : 0;
  return bytes;
}

Bytes least_memory(const Cluster& cluster) {
  Bytes least = kUnlimited;
  for (const DeviceSpec& device : cluster.devices) least = std::min(least, device.memory);
  return least;
}

/// Of a job's unit on the mean device, in ns.
double mean_time(const StateView& view, std::size_t job, std::uint32_t unit) {
  const Program& program = view.program();
  const std::size_t devices = view.cluster().devices.size();
  if (program.class_of.empty()) {
    return static_cast<double>(program.jobs[job].units[unit].expected.count());
  }
  double rate = 0;  // What all devices together do.
  for (std::size_t d = 0; d < devices; ++d) {
    const auto time = expected_on(program, job_id(job), unit, device_id(d)).count();
    rate += 1 / static_cast<double>(std::max<Duration::rep>(time, 1));
  }
  return static_cast<double>(devices) / rate;
}

}  // namespace

CopyLoad copy_load(const StateView& view) {
  const Program& program = view.program();
  const auto& devices = view.cluster().devices;
  const Way to = way(view, true), back = way(view, false);
  const bool hides = std::ranges::any_of(devices, [&](const DeviceSpec& device) {
    return device.copy_engines > 0 && device.slots(program.slots) > 1;
  });
  const Bytes memory = least_memory(view.cluster());
  CopyLoad load;
  load.any = to.latency + to.per_byte + back.latency + back.per_byte > 0;
  double written = 0;
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    const JobProgram& job = program.jobs[j];
    const auto count = static_cast<double>(job.minibatches);
    CopyLoad::OfJob& its = load.jobs.emplace_back();
    for (std::uint32_t u = 0; u < job.units.size(); ++u) {
      const double time = mean_time(view, j, u);
      const double loads = to.time(lasting(job, job.units[u].reads));
      its.minibatch += time;
      its.exposed += hides ? std::max(0.0, loads - time) : loads;
      written += count * back.time(lasting(job, job.units[u].writes));
    }
    const Bytes all = lasting_bytes(job), stays = std::min(all, memory);
    const double kept = all > 0 ? static_cast<double>(stays) / static_cast<double>(all) : 1;
    its.again = its.exposed * (1 - kept);
    its.move = to.time(stays) + back.time(stays);
    load.work_per_device += count * its.minibatch;
  }
  load.write_back = load.work_per_device > 0 ? written / load.work_per_device : 0;
  load.work_per_device /= static_cast<double>(std::max<std::size_t>(devices.size(), 1));
  return load;
}

}  // namespace shardlab
