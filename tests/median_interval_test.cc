#include "profiler/median_interval.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace shardlab {
namespace {

// Table of Conover, Practical Nonparametric Statistics, A3: 2 P(B <= rank) at most 0.05.
TEST(MedianInterval, RanksAreThoseOfTheBinomialTable) {
  for (std::size_t few = 0; few < 6; ++few) EXPECT_FALSE(median_rank(few)) << few;
  EXPECT_EQ(median_rank(6), 0U);   // 2/64
  EXPECT_EQ(median_rank(8), 0U);   // 18/256 is too much for 1
  EXPECT_EQ(median_rank(9), 1U);   // 20/512
  EXPECT_EQ(median_rank(20), 5U);  // 0.0414
  EXPECT_EQ(median_rank(25), 7U);  // 0.0433
  EXPECT_EQ(median_rank(100), 39U);
}

TEST(MedianInterval, HoldsTheMedianOfSkewedTimesAtLeastNinetyFiveTimesInAHundred) {
  std::mt19937_64 random(7);
  std::exponential_distribution<double> times(1e-3);  // Median 693 ns.
  const Duration median(693);
  for (const std::size_t samples : {6U, 12U, 40U}) {
    const std::size_t rank = median_rank(samples).value();
    int held = 0;
    for (int i = 0; i < 4000; ++i) {
      Samples drawn;
      for (std::size_t s = 0; s < samples; ++s)
        drawn.emplace_back(static_cast<std::int64_t>(times(random)));
      std::ranges::sort(drawn);
      if (drawn[rank] <= median && median <= drawn[samples - 1 - rank]) ++held;
    }
    EXPECT_GE(held, 4000 * 0.945) << samples;
    EXPECT_LE(held, 4000 * 0.99) << samples << ": wider than need be";
  }
}

TEST(MedianInterval, AnOutlierDoesNotWidenIt) {
  Samples samples;
  for (int i = 0; i < 9; ++i) samples.emplace_back(100 + i);
  EXPECT_EQ(median_half_width(samples), Duration(3));  // From 101 to 107.
  samples.back() = Duration(90'000);
  EXPECT_EQ(median_half_width(samples), Duration(3));
  samples.resize(5);
  EXPECT_FALSE(median_half_width(samples));
}

TEST(MedianInterval, OfAMinibatchAddsUpAllPhasesOfAllLayers) {
  Samples steady(6, Duration(100)), unsteady;
  for (const int each : {90, 100, 100, 100, 100, 130}) unsteady.emplace_back(each);
  const LayerSamples quiet{steady, steady, steady, steady};
  const LayerSamples noisy{steady, steady, unsteady, steady};
  EXPECT_DOUBLE_EQ(median_interval({quiet, quiet}).value(), 0);
  EXPECT_DOUBLE_EQ(median_interval({quiet, noisy}).value(), 20.0 / 800);
  LayerSamples few = quiet;
  few.step.pop_back();
  EXPECT_FALSE(median_interval({quiet, few}));
  EXPECT_FALSE(median_interval({}));
}

}  // namespace
}  // namespace shardlab
