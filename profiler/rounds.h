#pragma once

#include <functional>
#include <vector>

#include "profiler/lane.h"

namespace shardlab {

/// Runs `lanes` at once, each in a thread of its own, once over all models; lane k of n starts at
/// model k/n of them. All go on until the last is through, so that every kept sample was taken
/// while all were busy. Adds the samples of all lanes to `kept`. `tick` is called by this thread
/// after each model; the first exception wins.
void run_round(const std::vector<Lane*>& lanes, LaneSamples& kept,
               const std::function<void()>& tick);

}  // namespace shardlab
