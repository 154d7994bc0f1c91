#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace shardlab {

/// One measured run of a data set, and what was predicted for it.
struct ValidatedRun {
  std::string name;  ///< Unique in the data set.
  double predicted_s = 0;
  double measured_s = 0;  ///< Positive.

  /// predicted / measured - 1: negative where the prediction is too short.
  [[nodiscard]] double signed_error() const { return predicted_s / measured_s - 1; }
  /// Its size, a fraction of the measured time: what every statistic is of.
  [[nodiscard]] double error() const;
};

/// The value that a fraction `at` (0 to 1) of `values` does not exceed, linear between neighbours:
/// with at * (n - 1) = i + f, the i-th smallest (from 0) plus f times the way to the next one. This
/// is what NumPy's percentile does by default. Throws Error when there are no values.
double interpolated_quantile(std::vector<double> values, double at);
inline double interpolated_median(std::vector<double> values) {
  return interpolated_quantile(std::move(values), 0.5);
}

/// Of ValidatedRun::error().
struct ErrorSummary {
  std::size_t runs = 0;
  double median = 0, p95 = 0, worst = 0;
};

/// Throws Error when there are no runs.
ErrorSummary summarize(const std::vector<ValidatedRun>& runs);

/// {"name", "predicted_s", "measured_s", "error"}.
nlohmann::ordered_json run_json(const ValidatedRun& run);

/// {"median", "p95", "worst"}.
nlohmann::ordered_json error_summary_json(const ErrorSummary& summary);

/// "36 runs: median error 0.55 %, 95th percentile 1.93 %, worst 2.40 %".
std::string summary_text(const ErrorSummary& summary);

}  // namespace shardlab
