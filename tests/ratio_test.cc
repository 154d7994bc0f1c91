#include "sim/ratio.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/counter_hash.h"

namespace shardlab {
namespace {

/// Each with the coefficient of variation that it shall have.
std::vector<std::pair<Ratio, double>> distributions() {
  std::vector<std::pair<Ratio, double>> all{{Fixed{}, 0}, {Exponential{}, 1}};
  for (const double cv : {1e-3, 0.05, 0.3, 0.7, 0.9}) all.emplace_back(TruncatedNormal(cv), cv);
  for (const double cv : {1e-3, 0.05, 0.3, 1.0}) all.emplace_back(Lognormal(cv), cv);
  for (const double cv : {0.01, 0.1, 0.5, 1.0, 1.6}) all.emplace_back(Gamma(cv), cv);
  return all;
}

std::string name(const Ratio& ratio, double cv) {
  return "kind " + std::to_string(ratio.index()) + ", cv " + std::to_string(cv);
}

// The bands are four standard errors wide, of the mean and, by the fourth moment, of the variance.
TEST(Ratio, DrawsHaveMeanOneAndTheVariationAskedFor) {
  constexpr int kDraws = 20'000;
  for (const auto& [ratio, cv] : distributions()) {
    double sum = 0, squares = 0, fourth = 0;
    for (std::uint64_t i = 0; i < kDraws; ++i) {
      const double off = draw(ratio, open_interval(counter_hash({7, i}))) - 1;
      sum += off;
      squares += off * off;
      fourth += off * off * off * off;
    }
    const double variance = squares / kDraws;
    const double error = std::sqrt((fourth / kDraws - variance * variance) / kDraws);
    EXPECT_NEAR(sum / kDraws, 0, 4 * cv / std::sqrt(kDraws)) << name(ratio, cv);
    EXPECT_NEAR(variance, cv * cv, 4 * error + 1e-15) << name(ratio, cv);
  }
}

// Quadrature says more than draws: 2^17 equal parts of (0, 1).
TEST(Ratio, MeanAndVariationHoldToFourDigitsOverAllOfTheDistribution) {
  constexpr int kParts = 1 << 17;
  for (const auto& [ratio, cv] : distributions()) {
    if (cv > 0.75) continue;  // Their last part of the tail is too wide.
    double sum = 0, squares = 0;
    for (int i = 0; i < kParts; ++i) {
      const double off = draw(ratio, (i + 0.5) / kParts) - 1;
      sum += off;
      squares += off * off;
    }
    EXPECT_NEAR(sum / kParts, 0, 1e-4 * cv) << name(ratio, cv);
    EXPECT_NEAR(std::sqrt(squares / kParts), cv, 1e-3 * cv) << name(ratio, cv);
  }
}

TEST(Ratio, GrowsWithTheNumberItIsDrawnFrom) {
  for (const auto& [ratio, cv] : distributions()) {
    double last = 0;
    for (const double u :
         {0x1p-53, 1e-12, 1e-6, 0.01, 0.2, 0.5, 0.8, 0.99, 1 - 1e-9, 1 - 0x1p-53}) {
      const double now = draw(ratio, u);
      EXPECT_TRUE(std::isfinite(now) && now >= last) << name(ratio, cv) << " at " << u;
      last = now;
    }
  }
}

// Quantiles of chi-squared with 10 degrees (NIST/SEMATECH e-Handbook, 1.3.6.7.4) over their mean.
TEST(Ratio, AGammaHasTheTabulatedQuantilesOfChiSquared) {
  const Gamma gamma(1 / std::sqrt(5.0));
  const std::map<double, double> table{{0.001, 1.479}, {0.025, 3.247}, {0.05, 3.940},
                                       {0.90, 15.987}, {0.95, 18.307}, {0.999, 29.588}};
  for (const auto& [p, quantile] : table) EXPECT_NEAR(10 * gamma(p), quantile, 5e-4) << p;
}

TEST(Ratio, AGammaOfVariationOneIsTheExponential) {
  for (const double u : {0x1p-53, 1e-9, 0.003, 0.1, 0.5, 0.9, 0.9999, 1 - 1e-12}) {
    EXPECT_NEAR(Gamma(1)(u) / Exponential{}(u), 1, 1e-10) << u;
  }
}

TEST(Ratio, ALognormalHasTheQuantilesOfTheNormal) {
  const double sigma = std::sqrt(std::log1p(0.25));
  EXPECT_DOUBLE_EQ(Lognormal(0.5)(0.5), std::exp(-sigma * sigma / 2));
  EXPECT_NEAR(Lognormal(0.5)(0.975), std::exp(1.959963984540054 * sigma - sigma * sigma / 2),
              1e-14);
}

TEST(Ratio, ANarrowNormalIsHardlyCutAndAWideOneNeverNegative) {
  EXPECT_NEAR(TruncatedNormal(0.1)(0.025), 1 - 0.1959963984540054, 1e-12);
  EXPECT_GE(TruncatedNormal(0.9)(0x1p-53), 0);
  EXPECT_LT(TruncatedNormal(0.9)(1e-3), 2e-3);
}

TEST(Ratio, ResamplesExactlyWhatWasGivenEachAsOften) {
  const Resampled set({1.25, 0.75, 1.0, 1.0});
  std::map<double, int> seen;
  for (int i = 0; i < 400; ++i) ++seen[set((i + 0.5) / 400)];
  EXPECT_EQ(seen, (std::map<double, int>{{0.75, 100}, {1.0, 200}, {1.25, 100}}));
  EXPECT_EQ(set(1 - 0x1p-53), 1.25);
}

}  // namespace
}  // namespace shardlab
