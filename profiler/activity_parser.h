#pragma once

#include <cstdint>
#include <span>

#include "profiler/activity.h"

namespace shardlab {

/// A buffer as CUPTI returned it, up to its last valid byte. Aligned to 8 bytes.
using RecordBuffer = std::span<std::uint8_t>;

/// Any C function; whoever calls it knows its type.
using AnyFunction = void();

/// Reads CUPTI's records. `next_record` is cuptiActivityGetNextRecord of the library that wrote
/// them, which knows how long they are. The order of buffers and of records within them is free: a
/// kernel may come before its launch, or in another buffer. What details of overheads point to is
/// freed, so buffers can be read once.
ActivityLog parse_activities(std::span<const RecordBuffer> buffers, AnyFunction* next_record);

}  // namespace shardlab
