#pragma once

#include <memory>

#include "core/workload.h"
#include "policies/losses.h"
#include "sched/tuner.h"

namespace shardlab {

/// A fresh tuner for one run of the workload; null where no job stops early. Requires: `workload`
/// outlives it, and has its curves.
std::unique_ptr<Tuner> make_tuner(const Workload& workload);

/// The same, judging by `loss`.
std::unique_ptr<Tuner> make_tuner(const Workload& workload, const LossOf& loss);

}  // namespace shardlab
