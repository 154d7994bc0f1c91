#pragma once

#include <string>

#include "core/cluster.h"
#include "core/plan.h"
#include "sched/program.h"

namespace shardlab {

/// Writes a lowered plan: what an exact solver must know of units, what they wait for, what they
/// cost on each device, of what has to move, and the makespan below which there is none. See
/// docs/formats.md. Atomic: see write_file_atomically.
void write_program(const std::string& path, const Program& program, const Cluster& cluster,
                   const Plan& plan);

}  // namespace shardlab
