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

TEST(RankingScore, RegretsHaveTheirIntervalsEnds) {
  const std::vector<RankedCase> cases{
      {"a", {1, 2}, {2, 1}, {3, 4}, {}, {5, 4}, {{0, 0, 0.1}, {0.3, 0.2, 0.4}}},
      {"b", {2, 1}, {2, 1}, {3, 4}, {}, {3, 4}, {{0, 0, 0.3}, {0.1, 0.05, 0.2}}},
      {"c", {2, 1}, {2, 1}, {3, 4}, {}, {3, 4}, {{0, 0, 0.3}, {0.2, 0.1, 0.15}}}};
  const RankingScore found = score(cases, kByShardlab, 0.1);
  EXPECT_DOUBLE_EQ(found.regret_median, 0.1);
  EXPECT_DOUBLE_EQ(found.median_within->low, 0.05);
  EXPECT_DOUBLE_EQ(found.median_within->high, 0.15);
  EXPECT_DOUBLE_EQ(found.worst_within->low, 0.1);
  EXPECT_DOUBLE_EQ(found.worst_within->high, 0.2);
  const std::vector<RankedCase> raw{unadjusted(cases[0])};
  EXPECT_DOUBLE_EQ(score(raw, kByShardlab, 0.1).regret_worst, 0.25);
  EXPECT_EQ(score(raw, kByShardlab, 0.1).wrong, 1U);
  EXPECT_FALSE(score(raw, kByShardlab, 0.1).worst_within.has_value());
}

TEST(RankingScore, ErrorsAreOfThePredictionInEitherDirection) {
  const std::vector<RankedCase> cases{{"a", {2, 1, 4}, {}, {1, 1, 5}}};
  const RankingScore found = score(cases, kByShardlab, 0.1);
  EXPECT_DOUBLE_EQ(found.error_median, 0.25);
  EXPECT_DOUBLE_EQ(found.error_worst, 0.5);
}

}  // namespace
}  // namespace shardlab
