#include "report/statistics.h"

#include <cmath>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "core/counter_hash.h"
#include "core/quantile.h"

namespace shardlab {
namespace {

// NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, upper 2.5 % and 5 %.
TEST(Statistics, StudentsQuantilesAreThoseOfTheTables) {
  const std::map<double, double> table{{1, 12.706}, {2, 4.303},  {5, 2.571},
                                       {10, 2.228}, {30, 2.042}, {100, 1.984}};
  for (const auto& [degrees, quantile] : table) {
    EXPECT_NEAR(student_quantile(0.975, degrees), quantile, 5e-4) << degrees;
  }
  EXPECT_NEAR(student_quantile(0.95, 7), 1.895, 5e-4);
  EXPECT_NEAR(student_quantile(0.5, 7), 0, 1e-9);
  EXPECT_NEAR(student_quantile(0.975, 99'999), 1.95999, 1e-5) << "nearly normal";
}

TEST(Statistics, AMeanAndItsIntervalByHand) {
  const std::vector<double> values{2, 4, 4, 6};  // Variance 8/3, t = 3.18245.
  EXPECT_DOUBLE_EQ(variance(values), 8.0 / 3);
  const MeanInterval found = mean_interval(values);
  EXPECT_DOUBLE_EQ(found.mean, 4);
  EXPECT_NEAR(found.half_width.value_or(0), 3.18245 * std::sqrt(8.0 / 3 / 4), 1e-5);
  EXPECT_FALSE(mean_interval(std::vector<double>{3}).half_width);
}

TEST(Statistics, TheIntervalHoldsTheMeanInAboutNineteenOfTwentyExperiments) {
  int held = 0;
  for (std::uint64_t experiment = 0; experiment < 2000; ++experiment) {
    std::vector<double> values;
    for (std::uint64_t i = 0; i < 10; ++i) {
      values.push_back(open_interval(counter_hash({experiment, i})));
    }
    const MeanInterval found = mean_interval(values);
    if (std::abs(found.mean - 0.5) <= found.half_width.value_or(0)) ++held;
  }
  EXPECT_NEAR(held, 1900, 40);  // Four standard errors: sqrt(2000 × 0.95 × 0.05) = 9.7.
}

TEST(Statistics, QuantilesAreValuesThatThereAre) {
  std::vector<double> values;
  for (int i = 100; i >= 0; --i) values.push_back(i);
  const Statistics found = statistics(values);
  EXPECT_EQ(found.smallest, 0);
  EXPECT_EQ(found.p5, 5);
  EXPECT_EQ(found.median, 50);
  EXPECT_EQ(found.p95, 95);
  EXPECT_EQ(found.largest, 100);
  EXPECT_EQ(statistics({}).largest, 0);
}

TEST(Statistics, TheMedianOfAnEvenNumberIsTheUpperOfTheTwoInTheMiddle) {
  EXPECT_EQ(median(std::vector<int>{4, 1, 3, 2}), 3);
  EXPECT_EQ(median(std::vector<int>{5}), 5);
  EXPECT_EQ(quantile(std::vector<int>{1, 2, 3, 4}, 1), 4);
}

TEST(Statistics, PairsThatVaryTogetherAreToldApart) {
  const std::vector<double> best{10, 20, 30, 40}, slower{11, 21.5, 31, 41.5};
  const std::vector<double> alike{9, 22, 29, 41};
  const auto found = against_best({slower, best, alike});
  EXPECT_EQ(found[1].verdict, "best");
  EXPECT_EQ(found[0].verdict, "slower");
  EXPECT_DOUBLE_EQ(found[0].difference.mean, 1.25);
  EXPECT_LT(found[0].difference.half_width.value_or(9), 0.5);
  EXPECT_EQ(found[2].verdict, "tie");
}

TEST(Statistics, EqualContendersTieAndOneReplicationCannotTell) {
  EXPECT_EQ(against_best({{1, 2}, {1, 2}})[1].verdict, "tie");
  const auto once = against_best({{1}, {2}});
  EXPECT_EQ(once[0].verdict, "best");
  EXPECT_EQ(once[1].verdict, "");
}

}  // namespace
}  // namespace shardlab
