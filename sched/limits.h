#pragma once

#include <vector>

#include "core/bytes.h"
#include "core/cluster.h"
#include "core/ids.h"
#include "core/profile.h"
#include "core/workload.h"
#include "sched/program.h"

/// What no run may ask for: found before anything runs.
namespace shardlab {

/// Per device the most that any unit of the jobs that hold nothing needs there at once: held jobs
/// leave it free, or a slot that waits for memory and a job that waits for the slot would wait for
/// each other.
std::vector<Bytes> headroom(const std::vector<JobProgram>& jobs, std::size_t devices);

/// Throws Error naming job, shard, bytes needed and bytes available, if a unit (or a held job) can
/// never fit its device, or all jobs together the host's memory.
void refuse_what_cannot_fit(const Program& program, const Cluster& cluster);

/// Throws Error when the job alone adds up beyond the range of clock (73 years) or sizes (2 EiB).
void refuse_absurd(const Job& job, const ModelProfile& model);

/// What a job takes of this machine's memory while it is simulated or run: its units and items.
Bytes memory_of(const JobProgram& job);

/// Throws Error when `memory` of the first `lowered` of `jobs` jobs leaves too little for the rest
/// in 4 GiB.
void refuse_too_large(Bytes memory, std::size_t lowered, std::size_t jobs);

/// Throws Error when all units and copies, one after the other, would end beyond the clock's range.
void refuse_endless(const Program& program, const Cluster& cluster);

}  // namespace shardlab
