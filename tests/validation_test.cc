#include "validate/validation.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/error_of.h"

namespace shardlab {
namespace {

TEST(Validation, AQuantileLiesLinearlyBetweenNeighbours) {
  EXPECT_DOUBLE_EQ(interpolated_quantile({4, 1, 3, 2}, 0), 1);
  EXPECT_DOUBLE_EQ(interpolated_quantile({4, 1, 3, 2}, 1), 4);
  EXPECT_DOUBLE_EQ(interpolated_quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(interpolated_quantile({4, 1, 3, 2}, 0.95),
                   3.85);  // numpy.percentile([1, 2, 3, 4], 95)
  EXPECT_DOUBLE_EQ(interpolated_quantile({7}, 0.95), 7);
  EXPECT_DOUBLE_EQ(interpolated_median({5, 1, 2}), 2);
}

TEST(Validation, NoValuesHaveNoQuantile) {
  EXPECT_EQ(error_of([] { interpolated_quantile({}, 0.5); }), "no values to take a quantile of");
  EXPECT_EQ(error_of([] { summarize({}); }), "no values to take a quantile of");
}

TEST(Validation, AnErrorIsAFractionOfTheMeasuredTime) {
  const ValidatedRun low{"low", 3, 4}, high{"high", 5, 4};
  EXPECT_DOUBLE_EQ(low.signed_error(), -0.25);
  EXPECT_DOUBLE_EQ(low.error(), 0.25);
  EXPECT_DOUBLE_EQ(high.signed_error(), 0.25);
  EXPECT_DOUBLE_EQ(run_json(low).at("error"), 0.25);
}

TEST(Validation, StatisticsAreOfTheSizesOfErrors) {
  const ErrorSummary found = summarize({{"a", 1.01, 1}, {"b", 0.97, 1}, {"c", 1.02, 1}});
  EXPECT_EQ(found.runs, 3U);
  EXPECT_NEAR(found.median, 0.02, 1e-12);
  EXPECT_NEAR(found.p95, 0.029, 1e-12);
  EXPECT_NEAR(found.worst, 0.03, 1e-12);
  EXPECT_EQ(summary_text(found),
            "3 runs: median error 2.00 %, 95th percentile 2.90 %, worst 3.00 %");
}

}  // namespace
}  // namespace shardlab
