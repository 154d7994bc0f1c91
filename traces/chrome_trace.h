#pragma once

#include <span>
#include <string>

#include "core/timeline.h"

namespace shardlab {

/// Writes timelines as Chrome-trace JSON that the Perfetto UI opens: one process per timeline, per
/// device the threads compute, promote and demote, arrows where a microbatch goes on at another
/// device, and as counters the bytes reserved, those that were promoted before the job's next unit
/// there began, and the rates of links.
/// Microseconds with three decimals, so that no nanosecond is lost. Slices of one thread never
/// overlap: where measured copies do by a few microseconds, the later one is drawn shorter; its
/// `args` hold the exact times. Atomic: see write_file_atomically.
void write_chrome_trace(const std::string& path, std::span<const Timeline* const> timelines);

/// The same as a text.
std::string chrome_trace_json(std::span<const Timeline* const> timelines);

}  // namespace shardlab
