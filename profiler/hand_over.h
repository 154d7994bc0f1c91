#pragma once

#include "profiler/samples.h"

namespace shardlab {

/// Times `count` hand-overs of an empty unit to another thread and back, through a mutex and a
/// condition variable; a sample is one way.
void time_hand_over(int count, Samples& samples);

}  // namespace shardlab
