#include "validate/gpt_fit.h"

#include <array>
#include <cassert>
#include <cstddef>
#include <limits>
#include <utility>

#include <Eigen/Core>

#include "core/parallel.h"
#include "fit/non_negative_fit.h"

namespace shardlab {
namespace {

using Eigen::VectorXd;

constexpr std::array<double, 4> kLaunchStartsMs{1, 2, 4, 8};
/// Of a cost: large against the clock's nanoseconds, small against the distance of kinks.
constexpr double kStep = 1e-3;

VectorXd numbers_of(const GptCost& cost) {
  VectorXd numbers(static_cast<Eigen::Index>(kGptCostParameters.size()));
  Eigen::Index at = 0;
  for (const GptCostParameter& each : kGptCostParameters) numbers[at++] = cost.*each.value;
  return numbers;
}

GptCost cost_of(const VectorXd& numbers) {
  GptCost cost;
  Eigen::Index at = 0;
  for (const GptCostParameter& each : kGptCostParameters) cost.*each.value = numbers[at++];
  return cost;
}

}  // namespace

GptCost fit_gpt_cost(const std::vector<VtrainRow>& rows, const MinibatchTime& time) {
  assert(!rows.empty());
  std::vector<FitCase> cases;
  for (const VtrainRow& row : rows) {
    cases.push_back(
        {row.measured_s, [&](const VectorXd& numbers) { return time(row, cost_of(numbers)); }});
  }
  NonNegativeFit best{{}, std::numeric_limits<double>::infinity()};
  for (const double launch : kLaunchStartsMs) {
    GptCost start;
    start.layer_launch_ms = launch;
    NonNegativeFit end = fit_non_negative_from(numbers_of(start), cases,
                                               kStep * numbers_of(GptCost{}), default_threads());
    if (end.loss < best.loss) best = std::move(end);
  }
  return cost_of(best.parameters);
}

}  // namespace shardlab
