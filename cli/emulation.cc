#include "cli/emulation.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "exec/emulated.h"
#include "policies/lrtf.h"

namespace shardlab {
namespace {

constexpr Duration kUnit = std::chrono::milliseconds(2);
constexpr std::int64_t kUnitsPerDevice = 80;

/// Jobs of one unit per minibatch, or one job whose units go round the devices.
JobProgram job_of(std::size_t units, std::int64_t minibatches, bool bound) {
  JobProgram job;
  job.name = "job";
  job.minibatches = minibatches;
  for (std::size_t u = 0; u < units; ++u) {
    Unit unit;
    unit.alone = unit.loaded = {kUnit, {}};
    if (bound) unit.bound = device_id(u);
    job.units.push_back(unit);
  }
  expect(job, false);
  return job;
}

Timeline emulated(const Program& program, const Cluster& cluster) {
  Lrtf policy(program.jobs.size());
  return emulate(program, cluster, policy, {}).timeline;
}

/// In which as many units as `in_turn` follow one another: what each takes beyond kUnit.
Duration beyond(const Timeline& timeline, std::int64_t in_turn) {
  return timeline.makespan.time_since_epoch() / in_turn - kUnit;
}

}  // namespace

EmulationOverhead measure_emulation(const Cluster& cluster) {
  Cluster plain;
  for (const DeviceSpec& device : cluster.devices) {
    DeviceSpec& same = plain.devices.emplace_back();
    same.name = device.name;
    same.kind = kEmulated;
  }
  const std::size_t devices = plain.devices.size();
  Program loaded, alone;
  loaded.slots = alone.slots = 2;
  for (std::size_t j = 0; j < 2 * devices; ++j) {
    loaded.jobs.push_back(job_of(1, kUnitsPerDevice / 2, false));
  }
  const auto count = static_cast<std::int64_t>(devices);
  const std::int64_t rounds = (kUnitsPerDevice + count - 1) / count;
  alone.jobs.push_back(job_of(devices, rounds, true));
  EmulationOverhead overhead{beyond(emulated(alone, plain), rounds * count), {}, {}};
  overhead.timeline = emulated(loaded, plain);
  overhead.loaded = beyond(overhead.timeline, kUnitsPerDevice);
  return overhead;
}

Profile with_dispatch(Profile profile, const EmulationOverhead& overhead) {
  profile.alone.dispatch = overhead.alone;
  profile.loaded.dispatch = overhead.loaded;
  return profile;
}

}  // namespace shardlab
