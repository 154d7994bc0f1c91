#include "sched/limits.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/time.h"

namespace shardlab {
namespace {

[[noreturn]] void refuse(const JobProgram& job, const std::string& what, Bytes needed,
                         const std::string& where, Bytes available) {
  throw Error(fmt::format(
      "{}: {} needs {} on {}, which has {}; cut the model into more shards, "
      "take a smaller batch or a device with more memory",
      job.name, what, format_exact_bytes(needed), where, format_exact_bytes(available)));
}

void refuse_held(const JobProgram& job, const Cluster& cluster,
                 const std::vector<Bytes>& left_free) {
  const DeviceSpec* roomiest = nullptr;
  Bytes most = -1;
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    const DeviceSpec& device = cluster.devices[d];
    const Bytes room = device.memory - left_free[d];
    if (!job.resident && job.peak[d] > 0 && job.peak[d] > room) {
      refuse(job, "what it keeps there", job.peak[d], device.name, room);
    }
    if (room > most) roomiest = &device;
    most = std::max(most, room);
  }
  if (job.resident && job.peak.front() > most) {
    refuse(job, "the whole model", job.peak.front(), roomiest->name, most);
  }
}

void refuse_job(const JobProgram& job, const Cluster& cluster, Bytes smallest) {
  for (const Unit& unit : job.units) {
    const Bytes needed = need(job, unit);
    if (needed <= smallest) continue;  // It fits all, so not all are looked at.
    for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
      if (unit.bound != kNoDevice && index(unit.bound) != d) continue;
      if (needed <= cluster.devices[d].memory) continue;
      refuse(job, fmt::format("shard {} ({})", unit.shard, to_string(unit.kind)), needed,
             cluster.devices[d].name, cluster.devices[d].memory);
    }
  }
}

/// What a held job keeps from forward to backward never leaves its device.
bool passes_host(const JobProgram& job, const Item& item) {
  return !(job.held && item.kind == ItemKind::kGraph);
}

/// Of what passes through the host's memory.
void refuse_too_large_for_host(const Program& program, const Cluster& cluster) {
  for (const JobProgram& job : program.jobs) {
    for (const Item& item : job.items) {
      if (!passes_host(job, item) || item.bytes <= cluster.host_memory) continue;
      throw Error(fmt::format(
          "{}: {} of shard {} need {}, the host's memory is {}; cut the model into more shards",
          job.name, to_string(item.kind), item.shard, format_bytes(item.bytes),
          format_bytes(cluster.host_memory)));
    }
  }
}

/// Longest time and size that are reckoned with: what sums of them may reach stays below 2^63.
constexpr double kMostTime = 0x1p61, kMostBytes = 0x1p61;

}  // namespace

std::vector<Bytes> headroom(const std::vector<JobProgram>& jobs, std::size_t devices) {
  Bytes anywhere = 0;
  std::vector<Bytes> most(devices);
  for (const JobProgram& job : jobs) {
    if (job.held) continue;
    for (const Unit& unit : job.units) {
      Bytes& here = unit.bound == kNoDevice ? anywhere : most[index(unit.bound)];
      here = std::max(here, need(job, unit));
    }
  }
  for (Bytes& here : most) here = std::max(here, anywhere);
  return most;
}

void refuse_what_cannot_fit(const Program& program, const Cluster& cluster) {
  if (cluster.devices.empty()) throw Error("the cluster has no device");
  double host = 0;  // Floating point, as the sum over many jobs may overflow.
  FirstSight first_sight(program);
  const std::vector<Bytes> left_free = headroom(program.jobs, cluster.devices.size());
  Bytes smallest = kUnlimited;
  for (const DeviceSpec& device : cluster.devices) smallest = std::min(smallest, device.memory);
  for (const JobProgram& job : program.jobs) {
    if (job.held) {
      refuse_held(job, cluster, left_free);
    } else {
      refuse_job(job, cluster, smallest);
    }
    for (const Item& item : job.items) {
      if (passes_host(job, item) && first_sight(item)) host += static_cast<double>(item.bytes);
    }
  }
  if (host > kMostBytes) {
    throw Error(
        fmt::format("the jobs need {:.1f} EiB of host memory; check the profile's *_bytes, or give "
                    "fewer jobs",
                    host * 0x1p-60));
  }
  const Bytes room = cluster.disk ? cluster.disk->memory : cluster.host_memory;
  if (cluster.disk) refuse_too_large_for_host(program, cluster);
  if (host <= static_cast<double>(room)) return;
  throw Error(fmt::format(
      "the jobs need up to {} of {}, all that passes it counted as if it lay there at once; the "
      "cluster's `{}` is {}; give more, or fewer or smaller jobs",
      format_bytes(static_cast<Bytes>(host)), cluster.disk ? "disk" : "host memory",
      cluster.disk ? "disk.memory" : "host_memory", format_bytes(room)));
}

// In floating point, so that nothing overflows before it is refused.
void refuse_absurd(const Job& job, const ModelProfile& model) {
  double time = 0, bytes = 0;
  for (const LayerCost& layer : model.layers) {
    for (const LayerTimes* times : {&layer.alone, &layer.loaded}) {
      for (const Measured* each :
           {&times->forward, &times->recompute, &times->backward, &times->step}) {
        time += static_cast<double>(each->median.count());
      }
    }
    if (layer.host_step) time += static_cast<double>(layer.host_step->median.count());
    for (const Bytes each : {layer.parameters, layer.frozen, layer.state, layer.output, layer.saved,
                             layer.forward_workspace, layer.backward_workspace}) {
      bytes += 4 * static_cast<double>(each);
    }
  }
  if (time > kMostTime / static_cast<double>(std::max<std::int64_t>(job.minibatches, 1))) {
    throw Error(
        fmt::format("{}: {} minibatches would take more than 73 years by this profile; "
                    "check minibatches and the profile's *_ns",
                    job.name, job.minibatches));
  }
  if (bytes > kMostBytes) {
    throw Error(fmt::format(
        "{}: its layers take more than 2 EiB by this profile; check its *_bytes", job.name));
  }
}

Bytes memory_of(const JobProgram& job) {
  std::size_t bytes = sizeof(JobProgram) + job.items.size() * sizeof(Item) +
                      job.host_step.size() * sizeof(Duration);
  for (const Unit& unit : job.units) {
    bytes += sizeof(Unit) + unit.after.size() * sizeof(Dependency) +
             unit.before.size() * sizeof(std::uint32_t);
  }
  return static_cast<Bytes>(bytes);
}

void refuse_too_large(Bytes memory, std::size_t lowered, std::size_t jobs) {
  constexpr Bytes kMost = Bytes{7} << 28;  // 1.75 GiB; what else jobs need is as much again.
  if (memory <= kMost) return;
  throw Error(fmt::format(
      "the units of {} of the {} jobs take {} of this machine's memory, more than {}; simulate "
      "fewer jobs or cut them into fewer shards",
      lowered, jobs, format_bytes(memory), format_bytes(kMost)));
}

void refuse_endless(const Program& program, const Cluster& cluster) {
  double slowest = 0, latency = 0;  // Of a copy: seconds per byte, seconds.
  for (const CopyCost& copy : {program.copy_alone, program.copy_loaded}) {
    if (copy.bytes_per_second > 0) slowest = std::max(slowest, 1 / copy.bytes_per_second);
    latency = std::max(latency, seconds(copy.latency));
  }
  for (const DeviceSpec& device : cluster.devices) {
    for (const LinkSpec& link : {device.link, device.link_back()}) {
      if (link.bytes_per_second > 0) slowest = std::max(slowest, 1 / link.bytes_per_second);
      latency = std::max(latency, seconds(link.latency));
    }
  }
  for (const SwitchSpec& shared : cluster.switches) {  // At worst one copy after the other.
    for (const double rate : {shared.bytes_per_second, shared.back_bytes_per_second,
                              shared.together_bytes_per_second}) {
      if (rate > 0) slowest = std::max(slowest, 1 / rate);
    }
  }
  if (cluster.disk) {
    for (const LinkSpec& link : {cluster.disk->read, cluster.disk->write}) {
      if (link.bytes_per_second > 0) slowest += 1 / link.bytes_per_second;
      latency += seconds(link.latency);
    }
  }
  double slow_down = 1;
  for (const DeviceSpec& device : cluster.devices) {
    slow_down = std::max(slow_down, device.slow_down_promote * device.slow_down_demote);
  }
  const TimeRanges times(program);
  double all = 0;
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    const JobProgram& job = program.jobs[j];
    double minibatch = 0;
    for (const Duration step : job.host_step) minibatch += seconds(step);
    for (std::uint32_t u = 0; u < job.units.size(); ++u) {
      const Unit& unit = job.units[u];
      // Ten items at most, each in and out, over link and lane.
      minibatch += slow_down * seconds(times.of(job_id(j), u).most) +
                   seconds(std::max(program.dispatch_alone, program.dispatch_loaded)) +
                   40 * latency + 4 * slowest * static_cast<double>(need(job, unit));
    }
    all += minibatch * static_cast<double>(job.minibatches);
  }
  if (all * 1e9 < kMostTime) return;
  throw Error(
      "the jobs would take more than 73 years; check minibatches, the profile's *_ns and "
      "*_per_second and the links' rates");
}

}  // namespace shardlab
