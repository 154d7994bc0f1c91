#include "core/bytes.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr std::array<std::pair<std::string_view, double>, 11> kUnits{{{"", 1},
                                                                      {"B", 1},
                                                                      {"KiB", 0x1p10},
                                                                      {"MiB", 0x1p20},
                                                                      {"GiB", 0x1p30},
                                                                      {"TiB", 0x1p40},
                                                                      {"KB", 1e3},
                                                                      {"kB", 1e3},
                                                                      {"MB", 1e6},
                                                                      {"GB", 1e9},
                                                                      {"TB", 1e12}}};

}  // namespace

std::string format_bytes(Bytes bytes) {
  const double value = static_cast<double>(bytes);
  if (bytes == kUnlimited) return "unlimited";
  if (bytes < (Bytes{1} << 10)) return fmt::format("{} B", bytes);
  if (bytes < (Bytes{1} << 20)) return fmt::format("{:.1f} KiB", value * 0x1p-10);
  if (bytes < (Bytes{1} << 30)) return fmt::format("{:.1f} MiB", value * 0x1p-20);
  return fmt::format("{:.2f} GiB", value * 0x1p-30);
}

std::string format_exact_bytes(Bytes bytes) {
  return fmt::format("{} ({} bytes)", format_bytes(bytes), bytes);
}

Bytes parse_bytes(std::string_view text) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const auto& [name, factor] : kUnits) {
    if (failure != std::errc{} || unit != name) continue;
    const double bytes = number * factor;
    if (!(bytes >= 0) || bytes >= 0x1p62) break;
    return std::llround(bytes);
  }
  throw Error(fmt::format("\"{}\" is no size; write for example \"300 MiB\" or \"11 GB\"", text));
}

}  // namespace shardlab
