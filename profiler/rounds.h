#pragma once

#include <functional>
#include <vector>

#include "profiler/lane.h"
#include "profiler/profile.h"

namespace shardlab {

struct RoundsResult {
  LaneSamples samples;  ///< Of all lanes.
  int rounds = 0;       ///< Kept by the lane that kept fewest.
};

/// Runs `lanes` at once, each in a thread of its own, in turns over all models; lane k of n starts
/// at model k/n of them. All go on until the last has its rounds, so that every kept sample was
/// taken while all were busy. `tick` is called by this thread after each round of a model with the
/// share done; the first exception wins.
RoundsResult run_rounds(const std::vector<Lane*>& lanes, const ProfileOptions& options,
                        double seconds, const std::function<void(double done)>& tick);

}  // namespace shardlab
