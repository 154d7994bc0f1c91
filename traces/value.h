#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/time.h"

/// Checks of what stands in a file, whatever its format. Each throws Error "must be ..., is ..."
/// without a place: the caller adds it with in_context.
namespace shardlab {

std::int64_t within(std::int64_t value, std::int64_t least, std::int64_t most);

/// Neither infinite nor NaN, and not below `least`.
double finite(double value, double least);

/// Not empty and without control characters.
std::string plain_text(std::string_view text);

/// From seconds, 0 to below 30 years.
Duration interval(double seconds);

/// "90 s", "1.5 h"; there are us, ms, s, min, h and d.
Duration interval(std::string_view text);

}  // namespace shardlab
