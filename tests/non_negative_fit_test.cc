#include "fit/non_negative_fit.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

namespace shardlab {
namespace {

using Eigen::Vector2d;
using Eigen::VectorXd;

const VectorXd kSteps = Vector2d(1e-4, 1e-4);

/// 1 + x * p0 + p1, measured with p = `truth` and `error` (relative).
FitCase line(double x, const Vector2d& truth, double error = 0) {
  const auto model = [x](const VectorXd& p) { return 1 + x * p[0] + p[1]; };
  return {model(truth) * (1 + error), model};
}

std::vector<FitCase> lines(const Vector2d& truth) {
  std::vector<FitCase> cases;
  for (const double x : {1, 2, 3, 4, 5, 6, 7, 8}) cases.push_back(line(x, truth));
  return cases;
}

TEST(NonNegativeFit, FindsWhatTheCasesWereMadeOf) {
  const VectorXd found = fit_non_negative(lines({0.02, 0.3}), kSteps, 1);
  EXPECT_NEAR(found[0], 0.02, 1e-6);
  EXPECT_NEAR(found[1], 0.3, 1e-6);
}

TEST(NonNegativeFit, FollowsALongestPath) {  // As a makespan does: convex, with kinks.
  const Vector2d truth{0.4, 0.2};
  std::vector<FitCase> cases;
  for (const double x : {1, 2, 3, 4, 5, 6}) {
    const auto model = [x](const VectorXd& p) {
      return std::max(2 + x * p[0], 2.5 + 0.5 * x * p[0] + p[1]);
    };
    cases.push_back({model(truth), model});
  }
  const VectorXd found = fit_non_negative(cases, kSteps, 1);
  EXPECT_NEAR(found[0], 0.4, 1e-4);
  EXPECT_NEAR(found[1], 0.2, 1e-4);
}

TEST(NonNegativeFit, WhatWouldBeNegativeIsZero) {
  const VectorXd found = fit_non_negative(lines({0.2, -0.3}), kSteps, 1);
  EXPECT_GT(found[0], 0);
  EXPECT_EQ(found[1], 0);
  EXPECT_TRUE(fit_non_negative(lines({-0.02, -0.3}), kSteps, 1).isZero());
}

TEST(NonNegativeFit, AMinorityOutOfReachPullsLittle) {
  const Vector2d truth{0.02, 0.3};
  std::vector<FitCase> cases = lines(truth);
  const auto without = cases;
  for (const double x : {2, 6}) cases.push_back(line(x, truth, 1.0));  // Twice as long.
  const VectorXd found = fit_non_negative(cases, kSteps, 1);
  for (const FitCase& each : without) {
    EXPECT_NEAR(each.model(found) / each.measured, 1, 0.005);  // Least squares: 0.2.
  }
}

TEST(NonNegativeFit, OneCaseIsMetAndNoneSaysNothing) {
  const FitCase only = line(3, {0.02, 0.3});
  EXPECT_NEAR(only.model(fit_non_negative({only}, kSteps, 1)), only.measured, 1e-9);
  EXPECT_TRUE(fit_non_negative({}, kSteps, 1).isZero());
}

TEST(NonNegativeFit, ThreadsDoNotChangeTheResult) {
  const auto cases = lines({0.02, 0.3});
  EXPECT_EQ(fit_non_negative(cases, kSteps, 1), fit_non_negative(cases, kSteps, 4));
}

}  // namespace
}  // namespace shardlab
