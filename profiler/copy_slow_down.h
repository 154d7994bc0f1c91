#pragma once

#include "profiler/copy_way.h"
#include "profiler/link_bench.h"
#include "profiler/samples.h"

namespace shardlab {

/// The ratio of the medians, at least 1.
double slow_down(Samples beside, const Samples& alone);

/// Training of a small model on `device` alone, beside copies to it, and beside copies from it, in
/// turn `rounds` times, at most 5; ratios of medians, at least 1.
CopySlowDown copy_slow_down(const DeviceSpec& device, CopyWay& to_device, CopyWay& to_host,
                            int rounds);

}  // namespace shardlab
