#include "validate/ranking_measure.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <gtest/gtest.h>

#include "core/counter_hash.h"

namespace shardlab {
namespace {

const std::vector<double> kTrue{1, 1.02, 1.1, 0.98, 1.3, 1.05};  // Seconds, on a steady machine.

double drawn(std::uint64_t seed, std::uint64_t number) {  // -1 to 1.
  return 2 * unit_interval(counter_hash({seed, number})) - 1;
}

/// `rounds` rounds; the machine's speed is a random walk of steps of up to `drift`, runs vary by up
/// to `noise` beside it.
std::vector<Stretch> runs(std::uint64_t seed, std::size_t rounds, double drift, double noise) {
  Stretch all;
  double machine = 0;
  for (std::size_t r = 0; r < rounds; ++r) {
    for (const std::size_t p : round_order(kTrue.size(), r, rounds)) {
      machine += drift * drawn(seed, 2 * all.size());
      const double varied = noise * drawn(seed, 2 * all.size() + 1);
      all.push_back({p, kTrue[p] * std::exp(machine + varied), 1});
    }
  }
  return {all};
}

/// Root mean square of errors of differences to the first policy, as shares.
double error(const std::vector<double>& found) {
  double squares = 0;
  for (std::size_t p = 1; p < found.size(); ++p) {
    const double wrong = found[p] / found[0] / (kTrue[p] / kTrue[0]) - 1;
    squares += wrong * wrong;
  }
  return std::sqrt(squares / static_cast<double>(found.size() - 1));
}

TEST(RoundOrder, NoPolicyFollowsAnotherMoreOftenThanOnceInASquare) {
  for (const std::size_t policies : {2, 4, 6, 8}) {
    std::set<std::pair<std::size_t, std::size_t>> after;
    for (std::size_t r = 0; r < policies; ++r) {
      const std::vector<std::size_t> order = round_order(policies, r, policies);
      EXPECT_EQ(std::set<std::size_t>(order.begin(), order.end()).size(), policies);
      for (std::size_t i = 1; i < policies; ++i) after.emplace(order[i - 1], order[i]);
    }
    EXPECT_EQ(after.size(), policies * (policies - 1));
  }
  EXPECT_EQ(round_order(1, 0, 2), (std::vector<std::size_t>{0}));
  EXPECT_EQ(round_order(3, 1, 2), (std::vector<std::size_t>{0, 2, 1}));  // 1, 2, 0 mirrored.
}

TEST(PolicyMakespans, OnASteadyMachineAreTheGeometricMeans) {
  const PolicyMakespans found(kTrue.size(), runs(1, 3, 0, 0));
  EXPECT_EQ(found.slope(), 0);
  for (std::size_t p = 0; p < kTrue.size(); ++p) {
    EXPECT_NEAR(found.adjusted_s()[p], kTrue[p], 1e-12);
  }
  EXPECT_EQ(found.adjusted_s(), found.raw_s());
  EXPECT_NEAR(PolicyMakespans(1, {{{0, 2, 1}, {0, 8, 1}}}).raw_s()[0], 4, 1e-12);
}

TEST(PolicyMakespans, VariationWithoutDriftIsHardlyAdjusted) {
  double raw = 0, adjusted = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const PolicyMakespans found(kTrue.size(), runs(seed, 4, 0, 0.1));
    raw += error(found.raw_s());
    adjusted += error(found.adjusted_s());
  }
  EXPECT_LT(adjusted, 1.15 * raw);
}

TEST(PolicyMakespans, OfADriftingMachineHaveLittleMoreThanHalfTheVarianceOfMeans) {
  double raw = 0, adjusted = 0, slope = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const PolicyMakespans found(kTrue.size(), runs(seed, 4, 0.2, 0.01));
    raw += error(found.raw_s());
    adjusted += error(found.adjusted_s());
    slope += found.slope() / 100;
    EXPECT_LT(found.deviation(), found.raw_deviation());
  }
  EXPECT_LT(adjusted, 0.75 * raw);
  EXPECT_GT(slope, 0.7);
}

TEST(PolicyMakespans, APolicyThatIsSlowWheneverItRunsIsNotExcused) {
  // The machine becomes up to 2.7 times slower, and fast again; policy 1 takes half as long again
  // as policy 0 at all times, and computes more when it runs.
  Stretch all;
  for (int i = 0; i < 24; ++i) {
    const std::size_t p = i % 2 == i / 2 % 2 ? 0 : 1;
    const double took = (p == 1 ? 1.5 : 1.0) * std::exp(std::sin(0.1 * i));
    all.push_back({p, took, took});
  }
  const PolicyMakespans found(2, {all});
  EXPECT_NEAR(found.adjusted_s()[1] / found.adjusted_s()[0], 1.5, 0.03);
}

TEST(PolicyMakespans, RunsOfAnotherTimeCountByTheirNeighboursOnly) {
  // The first stretch at speed 1 is of all policies; later two alternate on a machine that is
  // slower by half, which must not be taken for theirs.
  std::vector<Stretch> stretches = runs(1, 2, 0, 0);
  stretches.push_back({{0, 1.5 * kTrue[0], 1},
                       {3, 1.5 * kTrue[3], 1},
                       {0, 1.5 * kTrue[0], 1},
                       {3, 1.5 * kTrue[3], 1},
                       {0, 1.5 * kTrue[0], 1}});
  const PolicyMakespans found(kTrue.size(), stretches);
  EXPECT_GT(error(found.raw_s()), 0.1);
  EXPECT_LT(error(found.adjusted_s()), 0.03);
}

TEST(PolicyMakespans, IntervalsOfRegretHoldTheTruth) {
  int held = 0, all = 0;
  double widths = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const PolicyMakespans found(kTrue.size(), runs(seed, 3, 0.1, 0.02));
    for (std::size_t p = 0; p < kTrue.size(); ++p) {
      const Regret regret = found.regret(p);
      const double truth = kTrue[p] / *std::ranges::min_element(kTrue) - 1;
      held += *regret.low <= truth && truth <= *regret.high ? 1 : 0;
      EXPECT_LE(*regret.low, regret.share);
      EXPECT_GE(*regret.high, regret.share);
      widths += regret.width();
      ++all;
    }
  }
  EXPECT_GE(held, all * 94 / 100);
  EXPECT_LT(widths / all, 0.5);
}

TEST(PolicyMakespans, WithoutEnoughRunsHaveNoIntervals) {
  const PolicyMakespans found(3, {{{0, 2, 1}, {1, 1, 1}, {2, 4, 1}}});
  EXPECT_DOUBLE_EQ(found.regret(2).share, 3);
  EXPECT_FALSE(found.regret(2).high.has_value());
  EXPECT_TRUE(std::isinf(found.regret(2).width()));
  EXPECT_EQ(found.rival(1), 0U);
  EXPECT_EQ(found.rival(2), 1U);
}

TEST(PolicyMakespans, TheRivalIsWhoMayBeFurthestBelow) {
  // Policy 1 was measured once, and may be anything; policy 2 is well known to be a little faster.
  Stretch all{{1, 1.05, 1}};
  for (int i = 0; i < 12; ++i) {
    all.push_back({i % 2 == 0 ? 0U : 2U, (i % 2 == 0 ? 1.0 : 0.98) * (i % 3 == 0 ? 1.1 : 1), 1});
  }
  EXPECT_EQ(PolicyMakespans(3, {all}).rival(0), 1U);
}

}  // namespace
}  // namespace shardlab
