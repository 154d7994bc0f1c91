#pragma once

#include <cstddef>
#include <functional>

#include "profiler/samples.h"

namespace shardlab {

/// What surrounds the work of a unit.
struct Surroundings {
  /// What the unit promotes is copied in, not timed: before it on the CPU, which warms the caches;
  /// beside it on an accelerator, layer by layer, and what a backward unit demotes is copied out.
  /// Else weights lie where they were left, and caches have forgotten them.
  bool promotes = false;
  bool by_layer = true;  ///< Times each layer; else only units as a whole.
  std::function<void()> begin = [] {}, end = [] {};  ///< Of each unit.
  /// Before and after each phase of each layer.
  std::function<void(std::size_t layer, Phase)> enter_layer = [](std::size_t, Phase) {};
  std::function<void()> leave_layer = [] {};
};

}  // namespace shardlab
