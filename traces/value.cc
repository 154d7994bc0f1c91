#include "traces/value.h"

#include <array>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr std::array<std::pair<std::string_view, double>, 6> kUnits{
    {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}}};

}  // namespace

std::int64_t within(std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least) throw Error(fmt::format("must be at least {}, is {}", least, value));
  if (value > most) throw Error(fmt::format("must be at most {}, is {}", most, value));
  return value;
}

double finite(double value, double least) {
  if (!std::isfinite(value)) throw Error(fmt::format("must be finite, is {}", value));
  if (value < least) throw Error(fmt::format("must be at least {}, is {}", least, value));
  return value;
}

std::string plain_text(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) throw Error("has a control character");
  }
  if (text.empty()) throw Error("is empty");
  return std::string(text);
}

Duration interval(double seconds) {
  if (finite(seconds, 0) >= 1e9) {
    throw Error(fmt::format("must be below 1e9 seconds, is {}", seconds));
  }
  return Duration{std::llround(seconds * 1e9)};
}

Duration interval(std::string_view text) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const auto& [name, factor] : kUnits) {
    if (failure == std::errc{} && unit == name) return interval(number * factor);
  }
  throw Error(fmt::format("\"{}\" is no time; write for example \"90 s\" or \"1.5 h\"", text));
}

}  // namespace shardlab
