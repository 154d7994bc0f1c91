#pragma once

#include "core/plan.h"
#include "core/time.h"
#include "core/timeline.h"
#include "sched/program.h"
#include "sched/shard_cost.h"

namespace shardlab {

/// Which times of its layers a unit takes.
struct Phases {
  bool forward = false;    ///< Without a graph.
  bool recompute = false;  ///< A forward that records its graph.
  bool backward = false;
  bool step = false;
  bool repeats = false;  ///< `recompute` repeats a forward that ran before.
};

inline Phases phases_of(UnitKind kind, int shard, const JobPlan& plan) {
  const bool forward = kind == UnitKind::kForward, fused = kind == UnitKind::kFused;
  const bool recomputes = plan.recomputes(shard);
  Phases phases;
  phases.forward = forward && recomputes;
  phases.repeats = kind == UnitKind::kBackward && recomputes;
  phases.recompute = phases.repeats || fused || (forward && !recomputes);
  phases.backward = fused || kind == UnitKind::kBackward;
  phases.step = kind == UnitKind::kStep || (phases.backward && !sums_gradients(plan));
  return phases;
}

/// Their sum over the layers of a shard, and the unit's overhead.
constexpr UnitCost unit_cost(const ShardCost::Times& times, Phases phases, Duration overhead) {
  UnitCost cost{overhead, phases.repeats ? times.recompute : Duration{}};
  if (phases.forward) cost.total += times.forward;
  if (phases.recompute) cost.total += times.recompute;
  if (phases.backward) cost.total += times.backward;
  if (phases.step) cost.total += times.step;
  return cost;
}

}  // namespace shardlab
