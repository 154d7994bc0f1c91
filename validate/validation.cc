#include "validate/validation.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace shardlab {

double ValidatedRun::error() const { return std::abs(signed_error()); }

double interpolated_quantile(std::vector<double> values, double at) {
  if (values.empty()) throw Error("no values to take a quantile of");
  std::sort(values.begin(), values.end());
  const double position = at * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], position - static_cast<double>(below));
}

ErrorSummary summarize(const std::vector<ValidatedRun>& runs) {
  std::vector<double> errors;
  for (const ValidatedRun& run : runs) errors.push_back(run.error());
  return {runs.size(), interpolated_quantile(errors, 0.5), interpolated_quantile(errors, 0.95),
          interpolated_quantile(errors, 1)};
}

nlohmann::ordered_json run_json(const ValidatedRun& run) {
  return {{"name", run.name},
          {"predicted_s", run.predicted_s},
          {"measured_s", run.measured_s},
          {"error", run.error()}};
}

nlohmann::ordered_json error_summary_json(const ErrorSummary& summary) {
  return {{"median", summary.median}, {"p95", summary.p95}, {"worst", summary.worst}};
}

std::string summary_text(const ErrorSummary& summary) {
  return fmt::format("{} run{}: median error {:.2f} %, 95th percentile {:.2f} %, worst {:.2f} %",
                     summary.runs, summary.runs == 1 ? "" : "s", 100 * summary.median,
                     100 * summary.p95, 100 * summary.worst);
}

}  // namespace shardlab
