#pragma once

#include "core/cluster.h"
#include "core/time.h"
#include "sched/program.h"

namespace shardlab {

/// Times below which no schedule of a lowered plan can come, whatever its policy. A unit counts
/// with the smallest of its costs on any device; dispatch and waiting count nothing.
struct Bounds {
  Duration work{};     ///< Σ compute / devices, rounded up.
  Duration longest{};  ///< The track that computes longest: its units run one after another.
  Duration bound{};    ///< The device to which most work is bound.
  Duration in_turn{};  ///< Σ compute where one job is admitted at a time; else 0.
  /// Parameters and state of all jobs go to a device at least once: their bytes over the sum of all
  /// links' rates. 0 where a device's link has no rate.
  Duration link{};

  [[nodiscard]] Duration greatest() const;
};

/// For equal devices the bound of Horvath, Lam and Sethi ("A level algorithm for preemptive
/// scheduling", 1977) is the greater of `work` and `longest`.
Bounds bounds(const Program& program, const Cluster& cluster);

/// What one would estimate without simulating: max(Σ compute / devices, longest track), with costs
/// as measured beside others; where jobs run one at a time, Σ compute with costs measured alone.
Duration naive_estimate(const Program& program, const Cluster& cluster);

}  // namespace shardlab
