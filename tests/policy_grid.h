#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>

#include <fmt/format.h>

#include "sched/lower.h"
#include "tests/instances.h"

/// The cells on which policies are compared: jobs under `spill`, alike or not, on devices of one
/// speed or several, with links between none and saturated, and room for 1, 2 or 8 of the largest
/// units on a device; double buffering where there is room for more than one.
namespace shardlab::policy_grid {

enum class Wire { kNone, kOwn, kShared };  ///< Shared: one switch passes what one link does.

struct Cell {
  bool mixed_jobs = false;
  bool mixed_devices = false;  ///< Speeds 2, 2, 1, 1, 1, 1, 1/2, 1/2 in a drawn order.
  Wire wire = Wire::kNone;
  double ratio = 1;  ///< Mean load of a shard over mean time of a unit on a device of speed 1.
  int room = 2;      ///< Largest units.
  int jobs = 16;
  int minibatches = 40;
};

struct Instance {
  Program program;
  Cluster cluster;
};

inline std::string to_string(const Cell& cell) {
  const char* wires[] = {"no transfer", "own links", "shared link"};
  return fmt::format("{} jobs, {} devices, {}, ratio {}, room {}",
                     cell.mixed_jobs ? "mixed" : "equal", cell.mixed_devices ? "mixed" : "equal",
                     wires[static_cast<int>(cell.wire)], cell.ratio, cell.room);
}

/// Equal jobs have 4 shards of one size. Mixed ones have 2 to 6, times within a factor of 7 and
/// numbers of minibatches within one of 10.
inline Instance draw(const Cell& cell, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  const auto between = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(generator() >> 11) * 0x1.0p-53;
  };
  instances::Case drawn;
  Bytes bytes = 0, shards = 0;
  for (int j = 0; j < cell.jobs; ++j) {
    Job job;
    job.name = "job" + std::to_string(j);
    job.model = {Architecture::kMlp, j + 1, 1, 1, 1, 0};
    job.batch = 1;
    const double times = cell.mixed_jobs ? between(0.2, 2) : 1;
    job.minibatches = static_cast<std::int64_t>(std::ceil(times * cell.minibatches));
    const double scale = cell.mixed_jobs ? between(300, 2000) : 1000;
    const int count = cell.mixed_jobs ? 2 + static_cast<int>(generator() % 5) : 4;
    ModelProfile model{job.model, job.batch, job.optimizer.kind, {}};
    JobPlan plan;
    for (int s = 0; s < count; ++s) {
      const double time = scale * (cell.mixed_jobs ? between(0.7, 1.3) : 1);
      const auto took = [&](double factor) {
        return Measured{Duration{static_cast<Duration::rep>(factor * time)}, {}, 1};
      };
      LayerCost layer;
      layer.loaded.forward = layer.loaded.recompute = took(1);
      layer.loaded.backward = took(2);
      layer.loaded.step = took(0.05);
      layer.alone = layer.loaded;
      layer.parameters = static_cast<Bytes>(1e6 * (cell.mixed_jobs ? between(0.5, 1.5) : 1));
      layer.output = layer.forward_workspace = layer.saved = layer.backward_workspace = 10'000;
      bytes += layer.parameters;
      ++shards;
      model.layers.push_back(layer);
      plan.first_layer.push_back(s);
    }
    drawn.workload.jobs.push_back(job);
    drawn.profile.models.push_back(model);
    drawn.plan.jobs.push_back(plan);
  }
  drawn.plan.slots = cell.room > 1 ? 2 : 1;
  Instance made{{}, instances::devices(8, kUnlimited, {}, 2)};
  if (cell.mixed_devices) {
    std::vector<double> speeds{2, 2, 1, 1, 1, 1, 0.5, 0.5};
    std::shuffle(speeds.begin(), speeds.end(), generator);
    for (std::size_t d = 0; d < 8; ++d) made.cluster.devices[d].speed = speeds[d];
  }
  made.program = lower(drawn.workload, made.cluster, drawn.profile, drawn.plan);
  if (cell.wire == Wire::kNone) return made;

  double time = 0, units = 0;
  Bytes largest = 0;
  for (const JobProgram& job : made.program.jobs) {
    const auto count = static_cast<double>(job.minibatches);
    time += count * static_cast<double>(minibatch_time(job).count());
    units += count * static_cast<double>(job.units.size());
    for (const Unit& unit : job.units) largest = std::max(largest, need(job, unit));
  }
  const double shard = static_cast<double>(bytes) / static_cast<double>(shards);
  const double rate = shard / (time / units * cell.ratio) * 1e9;
  for (DeviceSpec& device : made.cluster.devices) {
    device.memory = cell.room * largest;
    device.link = {Duration{}, rate};
    if (cell.wire == Wire::kShared) device.parent = 0;
  }
  if (cell.wire == Wire::kShared)
    made.cluster.switches.push_back({"host", rate, rate, 0, kNoSwitch});
  return made;
}

}  // namespace shardlab::policy_grid
