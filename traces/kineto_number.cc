#include "traces/kineto_number.h"

#include <charconv>
#include <cmath>
#include <system_error>

namespace shardlab {
namespace {

constexpr std::int64_t kMostMicroseconds = kMostKinetoTime / 1000;

}  // namespace

std::int64_t kineto_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem == std::errc::result_out_of_range) {
    throw UnusableEvent{"a number of theirs is beyond 64 bits"};
  }
  if (problem != std::errc{} || end == text.data())
    throw UnusableEvent{"an id of theirs is no integer"};
  return value;
}

std::int64_t kineto_nanoseconds(std::string_view text) {
  constexpr const char* kTooLarge = "a time of theirs is beyond 64 bits";
  std::int64_t whole = 0;
  const char* const last = text.data() + text.size();
  auto [end, problem] = std::from_chars(text.data(), last, whole);
  if (problem == std::errc::result_out_of_range) throw UnusableEvent{kTooLarge};
  if (problem != std::errc{}) throw UnusableEvent{"a time of theirs is no number"};
  if (end != last && *end != '.') {
    double value = 0;
    const auto scanned = std::from_chars(text.data(), last, value);
    if (scanned.ec != std::errc{} || scanned.ptr != last) {
      throw UnusableEvent{"a time of theirs is no number"};
    }
    if (std::abs(value) > static_cast<double>(kMostMicroseconds)) throw UnusableEvent{kTooLarge};
    return std::llround(value * 1e3);
  }
  if (whole > kMostMicroseconds || whole < -kMostMicroseconds) throw UnusableEvent{kTooLarge};
  std::int64_t result = whole * 1000;
  if (end == last) return result;
  std::int64_t place = text.front() == '-' ? -100 : 100;
  for (++end; end != last && place != 0; ++end, place /= 10) {
    if (*end < '0' || *end > '9') throw UnusableEvent{"a time of theirs is no number"};
    result += place * (*end - '0');
  }
  return result;
}

}  // namespace shardlab
