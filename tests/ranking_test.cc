#include "report/ranking.h"

#include <string>

#include <gtest/gtest.h>

namespace shardlab {
namespace {

PlanResult result(const std::string& name, double predicted_s) {
  return {name, predicted_s, 9, 8, "work", 3 << 20};
}

/// "=1 a, =1 b, 3 c"
std::string ranks(std::vector<PlanResult> results, double error) {
  std::string text;
  for (const RankedResult& each : rank(std::move(results), error)) {
    text += (text.empty() ? "" : ", ") + each.label() + " " + each.result.name;
  }
  return text;
}

TEST(Ranking, SortsByPredictedTime) {
  EXPECT_EQ(ranks({result("slow", 30), result("fast", 10), result("middle", 20)}, 0.05),
            "1 fast, 2 middle, 3 slow");
}

TEST(Ranking, DifferencesBelowTheStatedErrorAreTies) {
  // 10.4 is 4 % above 10: a tie at 5 %. 11 is 10 % above.
  EXPECT_EQ(ranks({result("a", 10), result("b", 10.4), result("c", 11)}, 0.05), "=1 a, =1 b, 3 c");
  EXPECT_EQ(ranks({result("a", 10), result("b", 10.4), result("c", 11)}, 0.03), "1 a, 2 b, 3 c");
}

TEST(Ranking, TiesAreMeasuredFromTheBestOfTheRankSoTheyDoNotChain) {
  // Each is 4 % above the one before, but 10.82 is 8 % above 10 and begins a rank of its own.
  EXPECT_EQ(
      ranks({result("a", 10), result("b", 10.4), result("c", 10.82), result("d", 11.2)}, 0.05),
      "=1 a, =1 b, =3 c, =3 d");
}

TEST(Ranking, EqualTimesTieEvenWithoutAnError) {
  EXPECT_EQ(ranks({result("b", 10), result("a", 10)}, 0), "=1 b, =1 a");
  EXPECT_EQ(ranks({result("z", 0), result("y", 0)}, 0.1), "=1 z, =1 y");
  EXPECT_EQ(ranks({}, 0.1), "");
}

}  // namespace
}  // namespace shardlab
