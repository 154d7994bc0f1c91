#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "profiler/lane.h"

namespace shardlab {

/// How lanes run beside each other.
enum class Beside : std::uint8_t {
  kInTurn,  ///< One at a time, unit by unit, as under model_parallel one job at a time: a lane has
            ///< rested before it computes, and its weights lie where they were left.
  kAtOnce,  ///< All the time, as under spill: each unit's weights come in before.
};

/// Runs `lanes`, each by its own worker, once over all models; lane k of n starts at model k/n
/// of them. All go on until the last is through, so that every kept sample was taken beside the
/// others. Adds the samples of all lanes to `kept`. `tick` is called by this thread after each
/// model; the first exception wins.
void run_round(const std::vector<Lane*>& lanes, Beside beside, LaneSamples& kept,
               const std::function<void()>& tick);

}  // namespace shardlab
