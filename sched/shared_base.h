#pragma once

#include "core/plan.h"
#include "core/workload.h"
#include "sched/program.h"

namespace shardlab {

/// Numbers the frozen items of jobs with one base alike (Item::shared), shard by shard.
/// Throws Error naming both jobs when they have one base but another model, other frozen layers or
/// another partition.
void share_bases(const Workload& workload, const Plan& plan, Program& program);

}  // namespace shardlab
