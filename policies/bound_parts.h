#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/cluster.h"
#include "core/time.h"
#include "sched/program.h"

/// The parts of bounds(): what computes, what waits for what, what moves.
namespace shardlab {

struct ComputeBounds {
  Duration work{}, levels{}, packing{}, device{};
};
ComputeBounds compute_bounds(const Program& program, const Cluster& cluster, bool may_pause);

/// The longest path through a job's units, minibatch after minibatch. It begins with the copies of
/// what lasts that its unit reads and ends with the write-back of what its unit changed.
Duration critical_chain(const Program& program, const Cluster& cluster);

struct MoveBounds {
  Duration link{}, traffic{}, disk{};
};
MoveBounds move_bounds(const Program& program, const Cluster& cluster);

/// Minibatches of a job that are still to run.
inline std::int64_t minibatches_left(const JobProgram& job) { return job.minibatches - job.done; }

/// Of a time that takes whole nanoseconds and no less than this, but for what sums of doubles may
/// be off.
inline Duration at_least(double nanoseconds) {
  return Duration{static_cast<Duration::rep>(std::ceil(nanoseconds * (1 - 1e-12) - 1e-3))};
}

}  // namespace shardlab
