#pragma once

#include <memory>
#include <vector>

#include "core/workload.h"
#include "policies/losses.h"
#include "policies/recorded_tuner.h"
#include "sched/tuner.h"

namespace shardlab {

/// A fresh tuner for one run of the workload; null where no job stops early. Requires: `workload`
/// outlives it, and has its curves.
std::unique_ptr<Tuner> make_tuner(const Workload& workload);

/// The same of a run that goes on after these decisions, if any.
std::unique_ptr<Tuner> make_tuner(const Workload& workload, const std::vector<Decision>& before);

/// The same, judging by `loss`.
std::unique_ptr<Tuner> make_tuner(const Workload& workload, const LossOf& loss);

/// The same of a run that goes on after decisions `before`, by its own losses if there is no
/// `loss`. See RecordedTuner. Requires Workload::early_stop.
std::unique_ptr<RecordedTuner> make_recorded_tuner(const Workload& workload, const LossOf& loss,
                                                   const std::vector<Decision>& before,
                                                   RecordedTuner::Note note = {});

}  // namespace shardlab
