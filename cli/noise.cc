#include "cli/noise.h"

#include <array>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "core/error.h"
#include "traces/timeline_file.h"

namespace shardlab {
namespace {

constexpr std::int64_t kUsualReplications = 30;
constexpr std::int64_t kMostReplications = 100'000;
constexpr std::string_view kSamples = "samples:";

/// The coefficient of variation after the colon.
double variation(const std::string& spec, double least, double most) {
  const std::string_view number = std::string_view(spec).substr(spec.find(':') + 1);
  double cv = -1;
  const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), cv);
  const bool whole = failed == std::errc() && end == number.data() + number.size();
  if (whole && (cv == 0 || (cv >= least && cv <= most))) return cv;
  throw UsageError(fmt::format(
      "noise {}: after the colon stands the coefficient of variation, standard deviation / mean: "
      "0, or from {} to {} of this distribution; for example 0.1",
      spec, least, most));
}

template <typename Distribution>
Ratio varied(double cv) {
  return cv == 0 ? Ratio(Fixed{}) : Ratio(Distribution(cv));
}

/// Throws UsageError where it is not one of these.
Ratio distribution(const std::string& spec) {
  constexpr double kLeast = 1e-6, kMostLognormal = 3;
  if (spec == "fixed") return Fixed{};
  if (spec == "exponential") return Exponential{};
  if (spec.starts_with("normal:")) {
    return varied<TruncatedNormal>(variation(spec, kLeast, TruncatedNormal::kMostCv));
  }
  if (spec.starts_with("lognormal:")) {
    return varied<Lognormal>(variation(spec, kLeast, kMostLognormal));
  }
  if (spec.starts_with("gamma:")) {
    return varied<Gamma>(variation(spec, Gamma::kLeastCv, Gamma::kMostCv));
  }
  throw UsageError(fmt::format(
      "noise {}: not known; give fixed, normal:CV, lognormal:CV, gamma:CV, exponential, profile, "
      "profile:independent or samples:TIMELINE.json",
      spec));
}

/// Reads the timeline that `samples:` names, for `take`.
template <typename Take>
void sample(const std::string& spec, const Take& take) {
  const std::string path = spec.substr(kSamples.size());
  const Timeline timeline = read_timeline(path);
  in_context(path, [&] { take(timeline); });
}

}  // namespace

void add_noise_options(CLI::App& app, NoiseOptions& options) {
  app.add_option("--noise", options.units,
                 "how durations vary: fixed, normal:CV, lognormal:CV, gamma:CV (CV: standard "
                 "deviation / mean), exponential, profile (its spread, layers slow together), "
                 "profile:independent, samples:TIMELINE.json (as measured there)");
  app.add_option("--copy-noise", options.copies,
                 "of copies, the disk and dispatch (as --noise; fixed where that is profile)");
  app.add_option("--replications", options.replications,
                 fmt::format("simulations with other draws ({}, with noise)", kUsualReplications))
      ->check(CLI::Range(std::int64_t{1}, kMostReplications));
}

NoiseSource::NoiseSource(const NoiseOptions& options, std::uint64_t noise_seed) : seed(noise_seed) {
  if (!options.any()) {
    if (!options.replications) return;
    throw UsageError(
        "--replications: without noise all would be the same; give --noise too, for example "
        "--noise lognormal:0.1");
  }
  replications = options.replications.value_or(kUsualReplications);
  if (!options.units.empty()) units = options.units;
  copies = !options.copies.empty()        ? options.copies
           : units.starts_with("profile") ? "fixed"
                                          : units;
  read_units();
  read_copies();
}

void NoiseSource::read_units() {
  if (units == "profile") {
    profile_ = Layers::kTogether;
  } else if (units == "profile:independent") {
    profile_ = Layers::kIndependent;
  } else if (units.starts_with(kSamples)) {
    sample(units, [&](const Timeline& timeline) {
      same_.units = measured_unit_noise(timeline);
      same_.host_steps = measured_host_step_noise(timeline);
    });
  } else {
    same_.units.fill(distribution(units));
    same_.host_steps = distribution(units);
  }
}

void NoiseSource::read_copies() {
  if (copies.starts_with("profile")) {
    throw UsageError(
        "--copy-noise profile: a profile does not say how copies vary; give a distribution such as "
        "lognormal:0.1, or samples:TIMELINE.json");
  }
  if (copies.starts_with(kSamples)) {
    sample(copies, [&](const Timeline& timeline) {
      same_.copies = measured_copy_noise(timeline);
      same_.dispatch = measured_dispatch_noise(timeline);
    });
  } else {
    same_.copies.fill(distribution(copies));
    same_.dispatch = distribution(copies);
  }
}

Noise NoiseSource::noise(const Inputs& inputs, const Plan& plan, const Program& program) const {
  if (!profile_) return same_;
  Noise made = profiled_noise(inputs.workload, inputs.profile, plan, program, *profile_);
  made.copies = same_.copies;
  made.dispatch = same_.dispatch;
  return made;
}

}  // namespace shardlab
