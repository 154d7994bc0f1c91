#pragma once

#include <vector>

#include "core/profile.h"
#include "profiler/activity_session.h"
#include "profiler/lane.h"

namespace shardlab {

/// Takes activity records of some minibatches of every model on `lane` and adds to `models`, whose
/// layers have their times alone, how long kernels ran in each. Last of a profile, as recording
/// slows the process from then on. To be called by a thread that has entered the lane. Never fails:
/// the result says why there is nothing.
ActivityFacts add_busy_times(Lane& lane, std::vector<ModelProfile>& models);
/// The same by a session that is there. Where something of it failed, the result's source begins
/// with "CUPTI activity records, incomplete" and says what; models without whole records get none.
ActivityFacts add_busy_times(ActivitySession& session, Lane& lane,
                             std::vector<ModelProfile>& models);

}  // namespace shardlab
