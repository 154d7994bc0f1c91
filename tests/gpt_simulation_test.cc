#include "validate/gpt_simulation.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace shardlab {
namespace {

constexpr GptCost kCost{3.5, 34, 1.1, 3.1, 16, 26};

/// `data` replicas of `pipeline` stages; 8 microbatches each.
VtrainRow row(std::int64_t data, std::int64_t pipeline) {
  return {2, {1024, 16, 24, 1024}, {data * 16, 2, 1, data, pipeline}, 0};
}

std::vector<GptStageCost> stages_of(const VtrainRow& row) {
  return gpt_stage_costs(row.gpt, row.layout, kCost);
}

Duration passes(const GptStageCost& stage) { return stage.forward + stage.backward; }

TEST(GptSimulation, OneDeviceRunsItsMicrobatchesAndSteps) {
  const GptStageCost stage = stages_of(row(1, 1)).front();
  EXPECT_DOUBLE_EQ(simulated_minibatch_s(row(1, 1), kCost),
                   seconds(8 * passes(stage) + stage.step));
}

TEST(GptSimulation, ReplicasReduceTheirGradientsInARing) {
  const double alone = simulated_minibatch_s(row(1, 1), kCost);
  const auto bytes = static_cast<double>(stages_of(row(1, 1)).front().gradients);
  for (const std::int64_t replicas : {2, 4, 8}) {
    const auto r = static_cast<double>(replicas);
    EXPECT_NEAR(simulated_minibatch_s(row(replicas, 1), kCost),
                alone + 2 * (r - 1) / r * bytes / 300e9, 1e-7);
  }
}

/// Of uneven stages by 1F1B, whose last is the slowest: all of them once, the slowest for the other
/// microbatches, and the first stage's step. Between stages, transfers of at most the boundary.
TEST(GptSimulation, APipelineTakesTheClosedFormOfUnevenStages) {
  for (const std::int64_t pipeline : {2, 4, 8}) {
    const VtrainRow piped = row(1, pipeline);
    const auto stages = stages_of(piped);
    Duration expected = 7 * passes(stages.back()) + stages.front().step;
    for (const GptStageCost& stage : stages) expected += passes(stage);
    const double transfers = 2 * static_cast<double>(pipeline - 1) *
                             static_cast<double>(gpt_boundary_bytes(piped.gpt, piped.layout)) /
                             300e9;
    const double simulated = simulated_minibatch_s(piped, kCost);
    EXPECT_GE(simulated, seconds(expected) - 1e-12);
    EXPECT_LE(simulated, seconds(expected) + transfers + 1e-7);
  }
}

TEST(GptSimulation, ReplicasOfAPipelineDoNotWaitForEachOtherBeforeTheReduction) {
  const double alone = simulated_minibatch_s(row(1, 4), kCost);
  const auto bytes = static_cast<double>(stages_of(row(1, 4)).front().gradients);
  EXPECT_NEAR(simulated_minibatch_s(row(2, 4), kCost), alone + bytes / 300e9, 1e-7);
}

}  // namespace
}  // namespace shardlab
