#pragma once

#include <string>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/timeline.h"
#include "sched/program.h"

namespace shardlab {

/// How a simulated run of a plan's order differs from what the plan says of it, with both numbers:
/// its makespan, and how many claims come later than their times, the first with its row and, if
/// that is why, the slots that were taken. Empty: in nothing; also where the plan says neither, and
/// of a run that goes on from checkpoints. `timeline` of that run; without units the makespan alone
/// counts.
std::string order_departure(const Plan& plan, const Program& program, const Cluster& cluster,
                            const Timeline& timeline, Instant makespan);

}  // namespace shardlab
