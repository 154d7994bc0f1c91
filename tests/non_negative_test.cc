#include "fit/non_negative.h"

#include <algorithm>
#include <limits>
#include <random>

#include <Eigen/QR>
#include <gtest/gtest.h>

namespace shardlab {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

/// By trying every set of free columns.
double least_residual(const MatrixXd& a, const VectorXd& b) {
  double least = b.norm();
  for (unsigned set = 1; set < 1u << a.cols(); ++set) {
    std::vector<Eigen::Index> columns;
    for (Eigen::Index j = 0; j < a.cols(); ++j) {
      if ((set >> j & 1u) != 0) columns.push_back(j);
    }
    const MatrixXd part = a(Eigen::all, columns);
    const VectorXd x = part.colPivHouseholderQr().solve(b);
    if (x.minCoeff() >= 0) least = std::min(least, (part * x - b).norm());
  }
  return least;
}

TEST(NonNegative, IsLeastSquaresWhereNothingIsNegative) {
  const MatrixXd a{{1, 0}, {0, 2}, {1, 1}};
  const VectorXd x = non_negative_least_squares(a, a * VectorXd{{3, 5}});
  EXPECT_NEAR(x[0], 3, 1e-12);
  EXPECT_NEAR(x[1], 5, 1e-12);
}

TEST(NonNegative, AColumnThatWouldBeNegativeIsLeftOut) {
  const MatrixXd a{{1, 1}, {1, 2}, {1, 3}};
  const VectorXd falling{{3, 2, 1}};
  const VectorXd x = non_negative_least_squares(a, falling);
  EXPECT_NEAR(x[0], 2, 1e-12);
  EXPECT_EQ(x[1], 0);
}

TEST(NonNegative, FindsTheBestOfAllSetsOfColumnsAtAnyScale) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  for (int instance = 0; instance < 300; ++instance) {
    const Eigen::Index columns = 1 + instance % 6;
    MatrixXd a = MatrixXd::NullaryExpr(12, columns, [&] { return normal(random); });
    const VectorXd b = VectorXd::NullaryExpr(12, [&] { return normal(random); });
    const double least = least_residual(a, b);
    a.col(0) *= 1e9;
    a.col(columns - 1) *= 1e-9;
    const VectorXd x = non_negative_least_squares(a, b);
    EXPECT_GE(x.minCoeff(), 0) << instance;
    EXPECT_NEAR((a * x - b).norm(), least, 1e-9) << instance;
  }
}

TEST(NonNegative, EqualColumnsAndColumnsOfZerosDoNoHarm) {
  const MatrixXd a{{1, 1, 0}, {2, 2, 0}};
  const VectorXd x = non_negative_least_squares(a, VectorXd{{2, 4}});
  EXPECT_NEAR(x[0] + x[1], 2, 1e-12);
  EXPECT_EQ(x[2], 0);
  EXPECT_EQ(non_negative_least_squares(a, VectorXd{{-1, -1}}).norm(), 0);
}

}  // namespace
}  // namespace shardlab
