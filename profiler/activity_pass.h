#pragma once

#include <vector>

#include "core/profile.h"
#include "profiler/lane.h"

namespace shardlab {

/// Takes activity records of some minibatches of every model on `lane` and adds to `models`, whose
/// layers have their times alone, how long kernels ran in each. Last of a profile, as recording
/// slows the process from then on. To be called by a thread that has entered the lane. Never fails:
/// the result says why there is nothing.
ActivityFacts add_busy_times(Lane& lane, std::vector<ModelProfile>& models);

}  // namespace shardlab
