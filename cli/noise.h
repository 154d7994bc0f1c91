#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/inputs.h"
#include "sim/noise.h"

namespace shardlab {

/// How simulated durations vary, and how often they are drawn.
struct NoiseOptions {
  std::string units, copies;  ///< `--noise`, also of copies; `--copy-noise` instead for these.
  std::optional<std::int64_t> replications;

  [[nodiscard]] bool any() const { return !units.empty() || !copies.empty(); }
};

/// --noise, --copy-noise and --replications.
void add_noise_options(CLI::App& app, NoiseOptions& options);

/// The options, read: what noise there is in any plan.
class NoiseSource {
 public:
  /// Throws UsageError on a text that is no noise, or replications without any; Error naming the
  /// file where a timeline cannot be used.
  NoiseSource(const NoiseOptions& options, std::uint64_t seed);

  /// Requires: `program` is lowered from the plan.
  [[nodiscard]] Noise noise(const Inputs& inputs, const Plan& plan, const Program& program) const;

  std::string units = "fixed", copies = "fixed";  ///< As given, for reports.
  std::uint64_t seed = 1;
  std::int64_t replications = 0;

 private:
  void read_units();
  void read_copies();

  Noise same_;                     // For every plan.
  std::optional<Layers> profile_;  // Else: units by the profile's spread.
};

}  // namespace shardlab
