#include "validate/ranking_score.h"

#include <gtest/gtest.h>

namespace shardlab {
namespace {

TEST(RankingScore, CountsPairsBeyondTheStatedErrorAndThoseMeasuredTheOtherWayRound) {
  // 1 and 1.05 are too close to count; 1 against 1.2 and 1.05 against 1.2 count, one is wrong.
  const std::vector<RankedCase> cases{{"a", {1.0, 1.05, 1.2}, {}, {1.1, 1.3, 1.2}}};
  const RankingScore found = score(cases, kByShardlab, 0.1);
  EXPECT_EQ(found.pairs, 2U);
  EXPECT_EQ(found.wrong, 1U);
  EXPECT_EQ(score(cases, kByShardlab, 0.01).pairs, 3U);
}

TEST(RankingScore, PairsThatVaryAsMuchAsTheyDifferDoNotCount) {
  // 0.3 apart; the stated 0.1 and 1.96 of both spreads make 0.27 or 0.35.
  std::vector<RankedCase> cases{{"a", {1.0, 1.3}, {1.0, 1.3}, {2, 1}, {0.09, 0.09}}};
  EXPECT_EQ(score(cases, kByShardlab, 0.1).pairs, 1U);
  cases[0].spread_s = {0.09, 0.15};
  EXPECT_EQ(score(cases, kByShardlab, 0.1).pairs, 0U);
  EXPECT_EQ(score(cases, kByNaive, 0.1).pairs, 1U);  // It knows of none.
}

TEST(MeasuredInRounds, AMachineThatIsSlowForARoundChangesNothing) {
  const std::vector<std::vector<double>> steady{{1, 2, 4}, {1, 2, 4}, {1, 2, 4}},
      slow{{1, 2, 4}, {1.5, 3, 6}, {1, 2, 4}};
  for (const auto& rounds : {steady, slow}) {
    const std::vector<double> measured = measured_in_rounds(rounds);
    ASSERT_EQ(measured.size(), 3U);
    for (std::size_t p = 0; p < 3; ++p) EXPECT_NEAR(measured[p], steady[0][p], 1e-12);
  }
}

TEST(MeasuredInRounds, OneSlowRunIsNotThePolicys) {
  const std::vector<double> measured = measured_in_rounds({{1, 2}, {3, 2}, {1, 2}});
  EXPECT_NEAR(measured[0] / measured[1], 0.5, 1e-12);
}

TEST(RankingScore, EqualMeasurementsAreNotTheOrderThatWasPredicted) {
  const std::vector<RankedCase> cases{{"a", {1, 2}, {}, {3, 3}}};
  EXPECT_EQ(score(cases, kByShardlab, 0.1).wrong, 1U);
}

TEST(RankingScore, RegretIsWhatThePredictedBestTakesAboveTheBest) {
  const std::vector<RankedCase> cases{{"right", {1, 2}, {2, 1}, {3, 4}},
                                      {"wrong", {1, 2}, {1, 2}, {5, 4}},
                                      {"tied", {1, 1}, {1, 1}, {6, 5}}};
  const RankingScore ours = score(cases, kByShardlab, 0.1);
  EXPECT_DOUBLE_EQ(ours.regret_median, 0.2);  // Of 0, 0.25 and, of equals the first, 0.2.
  EXPECT_DOUBLE_EQ(ours.regret_worst, 0.25);
  const RankingScore naive = score(cases, kByNaive, 0.1);
  EXPECT_DOUBLE_EQ(naive.regret_worst, 4.0 / 3 - 1);
}

TEST(RankingScore, ErrorsAreOfThePredictionInEitherDirection) {
  const std::vector<RankedCase> cases{{"a", {2, 1, 4}, {}, {1, 1, 5}}};
  const RankingScore found = score(cases, kByShardlab, 0.1);
  EXPECT_DOUBLE_EQ(found.error_median, 0.25);
  EXPECT_DOUBLE_EQ(found.error_worst, 0.5);
}

}  // namespace
}  // namespace shardlab
