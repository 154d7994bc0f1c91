#pragma once

#include "core/cluster.h"
#include "core/plan.h"
#include "sched/program.h"

namespace shardlab {

/// Throws Error naming row, device, place, job, unit, what is wrong and what to do, when no run can
/// follow the plan's order: it names what is not there, a device that may not run a unit or lacks
/// memory for it (and how much), a unit twice or not at all, or units before those that they wait
/// for. What jobs need together only a run tells: see Replay::stuck(). `may_stop`: jobs may end
/// after fewer minibatches, since a tuner stops them.
void refuse_wrong_order(const Plan& plan, const Program& program, const Cluster& cluster,
                        bool may_stop);

}  // namespace shardlab
