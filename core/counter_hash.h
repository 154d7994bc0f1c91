#pragma once

#include <cstdint>
#include <initializer_list>

namespace shardlab {

/// Random numbers without a generator: a value is a function of its key, so neither the order of
/// calls nor the thread changes it. The mixer is splitmix64 (Steele, Lea, Flood, OOPSLA 2014;
/// constants by Stafford).
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// Depends on every part and on their order.
constexpr std::uint64_t counter_hash(std::initializer_list<std::uint64_t> parts) {
  std::uint64_t x = 0;
  for (const std::uint64_t part : parts) x = mix(x ^ part) + part;
  return mix(x);
}

/// A hash as a number in (0, 1]: minus its logarithm is exponentially distributed.
constexpr double unit_interval(std::uint64_t hash) {
  return (static_cast<double>(hash >> 11) + 1) * 0x1p-53;
}

/// A hash as a number in (0, 1), as far from 0 as from 1: for inverse distribution functions.
constexpr double open_interval(std::uint64_t hash) {
  return (static_cast<double>(hash >> 12) + 0.5) * 0x1p-52;
}

}  // namespace shardlab
