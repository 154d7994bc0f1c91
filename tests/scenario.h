#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/plan.h"
#include "sched/program.h"

/// Small cases for a comparison of two simulators: drawn from a seed, made simpler while they still
/// fail, and printed so that they can be pasted into a test. Times in ns, sizes in bytes.
namespace shardlab::scenarios {

/// A shard of one layer.
struct Shard {
  std::int64_t late = 0;  ///< What its units take beyond the estimate.
  std::int64_t forward = 1, recompute = 1, backward = 1, step = 1;
  std::int64_t parameters = 1, state = 1, output = 1;
  std::int64_t forward_workspace = 1, saved = 1, backward_workspace = 1;
  bool operator==(const Shard&) const = default;
};

/// Times, then sizes.
inline constexpr std::array kShardNumbers = {&Shard::late,
                                             &Shard::forward,
                                             &Shard::recompute,
                                             &Shard::backward,
                                             &Shard::step,
                                             &Shard::parameters,
                                             &Shard::state,
                                             &Shard::output,
                                             &Shard::forward_workspace,
                                             &Shard::saved,
                                             &Shard::backward_workspace};

struct ScenarioJob {
  Strategy strategy = Strategy::kSpill;
  bool recompute = true;
  std::int64_t arrival = 0, minibatches = 1;
  std::vector<Shard> shards;
  std::vector<std::int64_t> bound;  ///< Devices, see JobPlan::device.
  std::int64_t microbatches = 1, replicas = 1;
  std::int64_t frozen = 0;     ///< Shards that do not train.
  std::int64_t host_step = 0;  ///< What each shard's step on the host takes, less 1; 0: on devices.
  std::int64_t priority = 0;
  std::int64_t base = 0;  ///< Jobs of one number share frozen shards; 0: none.
  bool operator==(const ScenarioJob&) const = default;
};

/// Something that takes `latency + bytes * per_byte`.
struct Pace {
  std::int64_t latency = 0, per_byte = 0;
  bool operator==(const Pace&) const = default;
};

struct Scenario {
  std::string policy = "lrtf";
  std::int64_t slots = 1, admit = 0, engines = 1;
  /// Per device: memory beyond what the plan must have; -1: unlimited.
  std::vector<std::int64_t> spare;
  std::vector<std::int64_t> buffers;  ///< Per device, of the first ones: DeviceSpec::buffer_slots.
  std::vector<std::int64_t> speeds;   ///< Likewise, in percent: of computing.
  /// How many times as long a unit takes beside copies, with engines; powers of two, so that what
  /// is left of it is exact.
  std::int64_t slow_there = 1, slow_back = 1;
  Pace link, back, copy, peer;
  Pace network;            ///< If any, every second device is on another node.
  std::int64_t host = -1;  ///< The host's memory beyond the largest item; -1: there is no disk.
  Pace read, write;        ///< By the disk.
  std::int64_t dispatch = 0;
  std::int64_t loaded = 100;  ///< Percent of the time that a unit takes alone.
  std::vector<ScenarioJob> jobs;
  bool operator==(const Scenario&) const = default;
};

struct Lowered {
  Program program;
  Cluster cluster;
};

Scenario draw(std::uint64_t seed, const std::string& policy);
/// The same with more jobs than few devices can claim units of.
Scenario draw_crowded(std::uint64_t seed, const std::string& policy);
/// The same with a disk below the host's memory.
Scenario draw_with_disk(std::uint64_t seed, const std::string& policy);
/// Some of them, with devices of several speeds, units that copies slow, and shared bases.
Scenario draw_mixed(std::uint64_t seed, const std::string& policy);
Lowered lower(const Scenario& scenario);
/// Devices leave and come back; but for the first, some do so `for_good`.
void draw_absences(std::uint64_t seed, bool for_good, Cluster& cluster);
/// Of what the host's memory may hold.
Bytes largest_item(const Program& program);

/// As C++, to be pasted.
std::string to_string(const Scenario& scenario);

/// The simplest scenario found by which `fails` still holds: jobs, devices, shards, minibatches and
/// features taken away, numbers halved. Requires: fails(scenario).
Scenario shrink(Scenario scenario, const std::function<bool(const Scenario&)>& fails);

}  // namespace shardlab::scenarios
