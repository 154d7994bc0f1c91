#include "report/statistics.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>

#include <unsupported/Eigen/SpecialFunctions>

#include "core/quantile.h"

namespace shardlab {
namespace {

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

std::string verdict(const MeanInterval& difference) {
  if (!difference.half_width) return "";
  return std::abs(difference.mean) <= *difference.half_width ? "tie" : "slower";
}

}  // namespace

MeanInterval mean_interval(std::span<const double> values) {
  MeanInterval made{mean(values)};
  if (values.size() < 2) return made;
  const auto count = static_cast<double>(values.size());
  made.half_width = student_quantile(0.975, count - 1) * std::sqrt(variance(values) / count);
  return made;
}

double variance(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double middle = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - middle) * (value - middle);
  return sum / static_cast<double>(values.size() - 1);
}

Statistics statistics(std::vector<double> values) {
  if (values.empty()) return {};
  Statistics made{mean_interval(values)};
  std::sort(values.begin(), values.end());
  made.smallest = values.front();
  made.p5 = quantile(values, 0.05);
  made.median = quantile(values, 0.5);
  made.p95 = quantile(values, 0.95);
  made.largest = values.back();
  return made;
}

std::vector<AgainstBest> against_best(const std::vector<std::vector<double>>& contenders) {
  const auto best =
      std::min_element(contenders.begin(), contenders.end(),
                       [](const auto& a, const auto& b) { return mean(a) < mean(b); });
  std::vector<AgainstBest> all;
  for (const std::vector<double>& each : contenders) {
    assert(each.size() == best->size());
    std::vector<double> differences = each;
    for (std::size_t r = 0; r < each.size(); ++r) differences[r] -= (*best)[r];
    const MeanInterval difference = mean_interval(differences);
    all.push_back({difference, &each == &*best ? "best" : verdict(difference)});
  }
  return all;
}

/// Both tails beyond t hold I_x(degrees/2, 1/2), x = degrees / (degrees + t²): Abramowitz and
/// Stegun, 26.7.1. Halving is slow and surely right.
double student_quantile(double p, double degrees) {
  assert(p >= 0.5 && p < 1 && degrees > 0);
  const auto tails = [degrees](double t) {
    return Eigen::numext::betainc(degrees / 2, 0.5, degrees / (degrees + t * t));
  };
  double low = 0, high = 1;
  while (tails(high) > 2 * (1 - p)) high *= 2;
  for (int i = 0; i < 60; ++i) {
    const double middle = low + (high - low) / 2;
    (tails(middle) > 2 * (1 - p) ? low : high) = middle;
  }
  return high;
}

}  // namespace shardlab
