#include "validate/ranking_score.h"

#include <gtest/gtest.h>

namespace shardlab {
namespace {

TEST(RankingScore, CountsPairsBeyondTheStatedErrorAndThoseMeasuredTheOtherWayRound) {
  // 1 and 1.05 are too close to count; 1 against 1.2 and 1.05 against 1.2 count, one is wrong.
  const std::vector<RankedCase> cases{{"a", {1.0, 1.05, 1.2}, {}, {1.1, 1.3, 1.2}}};
  const RankingScore found = score(cases, &RankedCase::predicted_s, 0.1);
  EXPECT_EQ(found.pairs, 2U);
  EXPECT_EQ(found.wrong, 1U);
  EXPECT_EQ(score(cases, &RankedCase::predicted_s, 0.01).pairs, 3U);
}

TEST(RankingScore, EqualMeasurementsAreNotTheOrderThatWasPredicted) {
  const std::vector<RankedCase> cases{{"a", {1, 2}, {}, {3, 3}}};
  EXPECT_EQ(score(cases, &RankedCase::predicted_s, 0.1).wrong, 1U);
}

TEST(RankingScore, RegretIsWhatThePredictedBestTakesAboveTheBest) {
  const std::vector<RankedCase> cases{{"right", {1, 2}, {2, 1}, {3, 4}},
                                      {"wrong", {1, 2}, {1, 2}, {5, 4}},
                                      {"tied", {1, 1}, {1, 1}, {6, 5}}};
  const RankingScore ours = score(cases, &RankedCase::predicted_s, 0.1);
  EXPECT_DOUBLE_EQ(ours.regret_median, 0.2);  // Of 0, 0.25 and, of equals the first, 0.2.
  EXPECT_DOUBLE_EQ(ours.regret_worst, 0.25);
  const RankingScore naive = score(cases, &RankedCase::naive_s, 0.1);
  EXPECT_DOUBLE_EQ(naive.regret_worst, 4.0 / 3 - 1);
}

TEST(RankingScore, ErrorsAreOfThePredictionInEitherDirection) {
  const std::vector<RankedCase> cases{{"a", {2, 1, 4}, {}, {1, 1, 5}}};
  const RankingScore found = score(cases, &RankedCase::predicted_s, 0.1);
  EXPECT_DOUBLE_EQ(found.error_median, 0.25);
  EXPECT_DOUBLE_EQ(found.error_worst, 0.5);
}

}  // namespace
}  // namespace shardlab
