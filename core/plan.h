#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/ids.h"

namespace shardlab {

/// How one job is laid out; fixes the order within the job.
enum class Strategy : std::uint8_t {
  kSpill,          ///< Shards in host memory, any device runs them.
  kResident,       ///< The whole model on one device.
  kModelParallel,  ///< Shards bound to devices, one unit of the job at a time.
};

struct JobPlan {
  Strategy strategy = Strategy::kSpill;
  std::vector<int> first_layer;  ///< Per shard, ascending, starting with 0.
  std::vector<DeviceId> device;  ///< Per shard, for kModelParallel; else empty.
  bool recompute = true;  ///< false: a forward keeps its graph on the device until its backward.

  [[nodiscard]] int shards() const { return static_cast<int>(first_layer.size()); }
};

constexpr int kMostSlots = 64;

/// Partition and strategy per job, and the policy between jobs.
struct Plan {
  std::string name;  ///< "spill/lrtf", for tables.
  std::vector<JobPlan> jobs;
  std::string policy = "lrtf";
  std::uint64_t seed = 1;  ///< Of policies that draw.
  int admit = 0;           ///< How many jobs run at once; 0: all.
  /// Units claimed at once per device: 1, or 1 + n with n-deep buffering; at most kMostSlots.
  int slots = 2;
};

std::string to_string(Strategy strategy);  ///< "spill", "resident", "model_parallel"
Strategy parse_strategy(const std::string& name);

}  // namespace shardlab
