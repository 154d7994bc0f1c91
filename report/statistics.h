#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace shardlab {

/// A mean and its 95 % interval by Student's t: of 100 such experiments, about 95 have the true
/// mean within.
struct MeanInterval {
  double mean = 0;
  std::optional<double> half_width = std::nullopt;  ///< None of a single value.
};

/// Of independent values whose mean is about normal. 0 without values.
MeanInterval mean_interval(std::span<const double> values);

/// Unbiased: over n − 1. 0 of fewer than two values.
double variance(std::span<const double> values);

/// What a table shows of replications.
struct Statistics {
  MeanInterval mean;
  double smallest = 0, p5 = 0, median = 0, p95 = 0, largest = 0;  ///< See core/quantile.h.
};

/// Zeros without values.
Statistics statistics(std::vector<double> values);

/// One contender against the one with the smallest mean, replication by replication: where both
/// drew the same numbers, what varies in both alike cancels out.
struct AgainstBest {
  MeanInterval difference;  ///< How much more it takes.
  /// "best"; "tie", when the interval of the difference contains 0; "slower"; "" where a single
  /// replication cannot tell.
  std::string verdict;
};

/// Requires: a contender, and as many values of each.
std::vector<AgainstBest> against_best(const std::vector<std::vector<double>>& contenders);

/// Of Student's distribution, for a probability `p` from 1/2 to below 1; `degrees` of freedom > 0.
double student_quantile(double p, double degrees);

}  // namespace shardlab
