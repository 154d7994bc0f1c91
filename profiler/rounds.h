#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "profiler/lane.h"

namespace shardlab {

/// How lanes run beside each other.
enum class Beside : std::uint8_t {
  kNothing,  ///< One at a time, minibatches of one model after another: as of a job that is alone
             ///< and goes on where it was, its weights and code are in the caches.
  kInTurn,  ///< One at a time, unit by unit of the same model, as under model_parallel one job at a
            ///< time: a lane has rested before each unit.
  kAtOnce,  ///< All the time, as under spill: each unit's weights come in before.
};

/// Runs `lanes`, each by its own worker, once over all models; with kAtOnce lane k of n starts at
/// model k/n of them. All go on until the last is through, so that every kept sample was taken
/// beside the others. Then, but for kInTurn, each lane copies while the others go on, or rest with
/// kNothing: beside copies passes take other times than beside passes, and after them caches are
/// cold. Adds the samples of all lanes to `kept`. `tick` is called by this thread after each model;
/// the first exception wins.
void run_round(const std::vector<Lane*>& lanes, Beside beside, LaneSamples& kept,
               const std::function<void()>& tick);

}  // namespace shardlab
