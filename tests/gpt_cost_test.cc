#include "validate/gpt_cost.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

constexpr GptShape kGpt{1024, 16, 24, 1024};
constexpr ParallelLayout kFourStages{8, 2, 1, 1, 4};

/// All constants 0, but one.
GptCost only(double GptCost::*value, double amount) {
  GptCost cost;
  for (const GptCostParameter& each : kGptCostParameters) cost.*each.value = 0;
  cost.*value = amount;
  return cost;
}

double both_ms(const GptStageCost& stage) {
  return static_cast<double>((stage.forward + stage.backward).count()) * 1e-6;
}

TEST(GptCost, ALayersOperationsAreThoseOfThePaper) {
  const auto stages = gpt_stage_costs(kGpt, kFourStages, only(&GptCost::layer_ms_per_tflop, 1));
  ASSERT_EQ(stages.size(), 4u);
  // arXiv 2104.04473: a forward of a layer is 24 B s h^2 + 4 B s^2 h, a backward twice that.
  const double b = 2, s = 1024, h = 1024;
  const double layer = 3 * (24 * b * s * h * h + 4 * b * s * s * h) * 1e-12;
  for (const GptStageCost& stage : stages) {
    EXPECT_NEAR(both_ms(stage), 6 * layer, 1e-5);
    EXPECT_NEAR(static_cast<double>(stage.backward.count()),
                2 * static_cast<double>(stage.forward.count()), 2);
    EXPECT_EQ(stage.step, Duration{});
  }
}

TEST(GptCost, OnlyTheLastStageHasTheHead) {
  const auto stages = gpt_stage_costs(kGpt, kFourStages, only(&GptCost::head_ms_per_tflop, 1));
  EXPECT_EQ(both_ms(stages[0]) + both_ms(stages[1]) + both_ms(stages[2]), 0);
  EXPECT_NEAR(both_ms(stages[3]), 6. * 2 * 1024 * 1024 * 51200 * 1e-12, 1e-5);
}

TEST(GptCost, ScoresGrowWithTheSquareOfTheSequence) {
  const GptCost cost = only(&GptCost::score_ps, 1000);
  const double once = both_ms(gpt_stage_costs(kGpt, kFourStages, cost)[0]);
  GptShape longer = kGpt;
  longer.sequence *= 2;
  EXPECT_NEAR(once, 6 * 2. * 16 * 1024 * 1024 * 1e-6, 1e-5);
  EXPECT_NEAR(both_ms(gpt_stage_costs(longer, kFourStages, cost)[0]), 4 * once, 1e-5);
}

TEST(GptCost, ALayerTakesNoLessThanItsLaunches) {
  GptCost cost = only(&GptCost::layer_launch_ms, 3);
  cost.layer_fixed_ms = 2;
  EXPECT_NEAR(both_ms(gpt_stage_costs(kGpt, kFourStages, cost)[0]), 6 * 3, 1e-5);
  cost.layer_fixed_ms = 4;
  EXPECT_NEAR(both_ms(gpt_stage_costs(kGpt, kFourStages, cost)[0]), 6 * 4, 1e-5);
}

TEST(GptCost, TheStepAndTheGradientsCountEveryParameterOnce) {
  const GptCost cost = only(&GptCost::step_ps_per_parameter, 1000);  // A nanosecond each.
  const std::int64_t layer = 12 * 1024 * 1024 + 13 * 1024, tokens = 51200 * 1024;
  const auto stages = gpt_stage_costs(kGpt, kFourStages, cost);
  EXPECT_EQ(stages[0].step.count(), 6 * layer + tokens + 1024 * 1024);
  EXPECT_EQ(stages[1].step.count(), 6 * layer);
  EXPECT_EQ(stages[3].step.count(), 6 * layer + tokens);
  EXPECT_EQ(stages[1].gradients, static_cast<Bytes>(2 * 6 * layer));
  const auto whole = gpt_stage_costs(kGpt, {8, 2, 1, 1, 1}, cost);
  EXPECT_EQ(whole[0].step.count(), 24 * layer + tokens + 1024 * 1024);
}

TEST(GptCost, ABoundaryIsAHalfPrecisionActivation) {
  EXPECT_EQ(gpt_boundary_bytes(kGpt, kFourStages), Bytes{2 * 2 * 1024 * 1024});
}

TEST(GptCost, RefusesATimeBeyondTheClock) {
  const GptCost cost = only(&GptCost::layer_fixed_ms, 1e12);
  EXPECT_EQ(error_of([&] { gpt_stage_costs(kGpt, kFourStages, cost); }),
            "2000000000000 ms is no time of a stage");
}

}  // namespace
}  // namespace shardlab
