#include "validate/pipeline_replay.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/pipeline_recurrence.h"

namespace shardlab {
namespace {

using namespace std::chrono_literals;

PerseusIteration uniform(int stages, int microbatches, const PerseusPass& pass) {
  return {std::vector<PerseusPass>(static_cast<std::size_t>(stages * microbatches), pass), {}};
}

TEST(PipelineReplay, UniformStagesTakeTheClosedForm) {
  for (const int stages : {1, 2, 4, 8}) {
    for (const int microbatches : {1, 2, 3, 8, 32}) {
      const PipelineReplay replay(stages, microbatches);
      const PerseusIteration iteration = uniform(stages, microbatches, {1ms, 3ms, 7ms});
      EXPECT_EQ(replay.simulated(iteration, {}), (microbatches + stages - 1) * 11ms);
      EXPECT_EQ(replay.simulated(iteration, {0ms, 5ms}), (microbatches + stages - 1) * 11ms + 5ms);
    }
  }
}

TEST(PipelineReplay, ATransferHoldsTheStageThatReceives) {
  // F0 of stage 0, F0 and B0 of stage 1, B0 of stage 0; two tensors were received.
  const PerseusIteration two{{{1ms, 3ms, 7ms}, {0ms, 4ms, 6ms}}, {}};
  EXPECT_EQ(PipelineReplay(2, 1).simulated(two, {}), 21ms);
  EXPECT_EQ(PipelineReplay(2, 1).simulated(two, {100ms, 0ms}), 221ms);
  // A middle stage that is the slowest receives twice per microbatch; then the first one once more.
  std::vector<PerseusPass> passes(30, {0ms, 10ms, 20ms});
  for (std::size_t m = 10; m < 20; ++m) passes[m] = {0ms, 100ms, 200ms};
  const PipelineReplay replay(3, 10);
  EXPECT_EQ(replay.simulated({passes, {}}, {1ms, 0ms}) - replay.simulated({passes, {}}, {}), 21ms);
}

TEST(PipelineReplay, AgreesWithTheRecurrenceOnRandomIterations) {
  std::mt19937 random(7);
  const auto up_to = [&](int most) { return std::uniform_int_distribution(0, most)(random); };
  for (int i = 0; i < 300; ++i) {
    const int stages = 1 + up_to(7), microbatches = 1 + up_to(20);
    PerseusIteration iteration;
    for (int pass = 0; pass < stages * microbatches; ++pass) {
      iteration.passes.push_back({Duration(up_to(3)), Duration(up_to(9)), Duration(up_to(20))});
    }
    const PipelineOverheads overheads{Duration(up_to(4)), Duration(up_to(50))};
    ASSERT_EQ(PipelineReplay(stages, microbatches).simulated(iteration, overheads),
              recurrence(stages, microbatches, iteration, overheads))
        << stages << " stages, " << microbatches << " microbatches, instance " << i;
  }
}

}  // namespace
}  // namespace shardlab
