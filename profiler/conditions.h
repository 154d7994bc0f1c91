#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/profile.h"

namespace shardlab {

/// Something of the machine at one moment, in words. `value` says so where it is not known.
struct Reading {
  std::string what, value;
  bool operator==(const Reading&) const = default;
};

/// Governor and frequency of the processors and the load average, as the system below `root` tells
/// them.
std::vector<Reading> processor_readings(const std::string& root = "/");

/// Of the accelerator with this ordinal: clocks, power state, what holds the clocks down,
/// temperature, power and other processes on it, by NVML, which is opened at run time.
std::vector<Reading> accelerator_readings(int ordinal, std::span<const std::string> driver,
                                          std::span<const std::string> nvml);

/// Of the machine and of all accelerators of `cluster`.
std::vector<Reading> read_conditions(const Cluster& cluster);

/// Puts both together, in the order of `before`, by what they say.
std::vector<Condition> conditions(const std::vector<Reading>& before,
                                  const std::vector<Reading>& after);

}  // namespace shardlab
