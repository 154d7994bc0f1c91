#include "models/parameters.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "core/counter_hash.h"
#include "core/parallel.h"

namespace shardlab {
namespace {

/// Box-Muller on two hashed uniforms per element pair, `first` being even.
void fill_normal(std::uint64_t key, double deviation, std::size_t first, std::span<float> out) {
  constexpr double kUnit = 1.0 / 9007199254740992.0;  // 2^-53
  for (std::size_t i = 0; i < out.size(); i += 2) {
    const std::uint64_t one = mix(key + 2 * (first + i));
    const std::uint64_t other = mix(key + 2 * (first + i) + 1);
    const double radius =
        deviation * std::sqrt(-2.0 * std::log((static_cast<double>(one >> 11) + 1) * kUnit));
    const double angle = 2.0 * std::numbers::pi * (static_cast<double>(other >> 11) * kUnit);
    out[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < out.size()) out[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

/// The same by all cores: a billion weights would take one of them half a minute.
void fill_normal(std::uint64_t key, double deviation, std::span<float> out) {
  constexpr std::size_t kPiece = std::size_t{1} << 18;
  const std::size_t pieces = (out.size() + kPiece - 1) / kPiece;
  parallel_for(pieces, default_threads(), [&](std::size_t piece) {
    const std::size_t first = piece * kPiece;
    fill_normal(key, deviation, first, out.subspan(first, std::min(kPiece, out.size() - first)));
  });
}

}  // namespace

std::int64_t ParameterSpec::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

std::int64_t padded_elements(const ParameterSpec& parameter) {
  return (parameter.elements() + kParameterGrain - 1) / kParameterGrain * kParameterGrain;
}

std::int64_t padded_elements(std::span<const ParameterSpec> parameters) {
  std::int64_t count = 0;
  for (const ParameterSpec& parameter : parameters) count += padded_elements(parameter);
  return count;
}

void initialize(std::span<const ParameterSpec> parameters, std::uint64_t seed, int layer,
                std::span<float> flat) {
  assert(static_cast<std::int64_t>(flat.size()) == padded_elements(parameters));
  std::ranges::fill(flat, 0.0F);
  std::size_t at = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const ParameterSpec& parameter = parameters[i];
    const auto values = flat.subspan(at, static_cast<std::size_t>(parameter.elements()));
    if (parameter.initial == Initial::kOne) std::ranges::fill(values, 1.0F);
    if (parameter.initial == Initial::kNormal) {
      fill_normal(counter_hash({seed, static_cast<std::uint64_t>(layer), i}), parameter.deviation,
                  values);
    }
    at += static_cast<std::size_t>(padded_elements(parameter));
  }
}

}  // namespace shardlab
