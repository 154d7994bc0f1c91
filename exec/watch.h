#pragma once

#include <chrono>
#include <functional>

#include "core/time.h"
#include "sched/backend.h"

namespace shardlab {

/// When a unit or a copy that does not end loses its device: after so long and so many times what
/// it should take. Never where `least` is 0.
struct Watch {
  Duration least = std::chrono::seconds(60);
  double times = 20;
  std::function<Duration(const UnitRun&)> estimate = {};  ///< Empty: 0.
  std::function<Instant()> clock = {};                    ///< Empty: the run's.
};

}  // namespace shardlab
