#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace shardlab {

enum class Initial : std::uint8_t { kZero, kOne, kNormal };

/// One weight tensor of a layer and how it starts.
struct ParameterSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  Initial initial = Initial::kZero;
  double deviation = 0;  ///< Of kNormal; its mean is zero.
  /// A running mean of what a batch has, such as its variance. Where a parameter that trains gets
  /// its gradient, this one gets what the batch has, and a step is move_statistic().
  bool statistic = false;

  [[nodiscard]] std::int64_t elements() const;
};

/// A parameter takes a multiple of this many floats in flat memory: each starts on a cache line, as
/// matrix libraries promise the same bits only for the same alignment.
constexpr std::int64_t kParameterGrain = 16;

/// Floats that it takes in flat memory, padding included. Padding is zero and stays so.
std::int64_t padded_elements(const ParameterSpec& parameter);

/// Floats of all parameters of a layer, one after another, each padded.
std::int64_t padded_elements(std::span<const ParameterSpec> parameters);

/// Writes the initial weights of model layer `layer` in the flat layout; a function of (seed,
/// layer, place) only. Requires flat.size() == padded_elements(parameters).
void initialize(std::span<const ParameterSpec> parameters, std::uint64_t seed, int layer,
                std::span<float> flat);

}  // namespace shardlab
