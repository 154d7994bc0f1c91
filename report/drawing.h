#pragma once

#include <string>

#include "core/timeline.h"

namespace shardlab {

struct DrawingOptions {
  int width = 80;      ///< Columns of the terminal, device names included.
  bool color = false;  ///< ANSI escapes, one colour per job.
};

/// One row per device, one character per time step, an axis with times and a legend:
///
///     cpu-0  aaabbbBBBBAAA::cc
///     cpu-1  ccccCCCC...aaAAA
///            |0 ms  |20 ms
///     a gpt-small   b gpt-large   c bert
///     lower case: forward, upper case: backward, ':' the lane copies, '.' idle
///
/// A step shows what took most of it. The 27th job and those after it are digits, then '#', without
/// a case.
std::string draw(const Timeline& timeline, const DrawingOptions& options = {});

/// For tests: one character per nanosecond, a line per device, 'A' for the first job, ':' for a
/// copy by the lane, '.' for idle time, nothing after the last unit or copy. Throws Error above 100
/// 000 ns.
std::string draw_exact(const Timeline& timeline);

}  // namespace shardlab
