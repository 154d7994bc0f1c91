#pragma once

#include <cstdint>
#include <string_view>

/// Numbers of a trace's events, as their digits stand in the file.
namespace shardlab {

/// Thrown within an event: it cannot be used, the others can.
struct UnusableEvent {
  const char* why;
};

/// In nanoseconds; so that sums of times do not overflow.
constexpr std::int64_t kMostKinetoTime = (std::int64_t{1} << 52) * 1000;

/// Throws UnusableEvent where 64 bits do not hold it.
std::int64_t kineto_integer(std::string_view text);

/// Microseconds as "12", "12.345" or "1.2e3" in nanoseconds, exact. Throws UnusableEvent on a time
/// beyond kMostKinetoTime.
std::int64_t kineto_nanoseconds(std::string_view text);

}  // namespace shardlab
