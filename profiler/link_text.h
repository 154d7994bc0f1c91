#pragma once

#include <string>

#include "profiler/link_bench.h"

namespace shardlab {

/// "to device", "to host" or "to gpu-1".
std::string way_text(const LinkCost& link);

/// Of host memory: "page-locked" or "pageable".
const char* memory_text(bool pinned);

/// What to say where latency and rate are more than a fifth off a size that was measured: by how
/// much, and what copies of the largest size pass. Empty: they fit.
std::string caution(const LinkCost& link);

}  // namespace shardlab
