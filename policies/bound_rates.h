#pragma once

#include <algorithm>
#include <limits>

#include "core/cluster.h"
#include "policies/bound_parts.h"
#include "sched/program.h"

/// What passes links and switches at most, for the bounds of what moves.
namespace shardlab {

/// Of a link that is not paced, infinite.
inline double or_unbounded(double rate) {
  return rate > 0 ? rate : std::numeric_limits<double>::infinity();
}

/// Bytes per second: to the devices, back, and both together.
struct Rates {
  double in = 0, back = 0, together = 0;

  void add(const Rates& other) {
    in += other.in;
    back += other.back;
    together += other.together;
  }
  void limit(const SwitchSpec& by) {
    in = std::min(in, or_unbounded(by.bytes_per_second));
    back = std::min(back, or_unbounded(by.back_bytes_per_second));
    together = std::min({together, or_unbounded(by.together_bytes_per_second), in + back});
  }
};
Rates rates_of(const DeviceSpec& device);
/// Of all devices together, by their own links and the switches above them.
Rates rates_of_all(const Cluster& cluster);

/// Bytes.
struct Amount {
  double in = 0, back = 0;

  void add(const Amount& other) {
    in += other.in;
    back += other.back;
  }
};

/// A chain of units that any device may run, of items that it does not hold there.
bool spills(const JobProgram& job);

/// Below it no run comes in which all that `spills()` passes the host's links, with what others
/// move at least; 0 where any device's memory is unlimited, or devices are joined directly.
Duration reuse_bound(const Program& program, const Cluster& cluster, const Amount& others);

}  // namespace shardlab
