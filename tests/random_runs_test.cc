// Random schedules, budgets and kills of every strategy: the bits of plain training.
#include "tests/random_runs.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "tests/instances.h"

namespace shardlab {
namespace {

TEST(RandomRuns, KilledAtAnyMomentTheyComeToTheWeightsOfPlainTraining) {
  const Workload work = jobs_of_eight();
  const std::uint64_t seeds = std::min<std::uint64_t>(instances::seeds(100), 500);  // Of seconds.
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Draw draw(seed);
    const int kills = static_cast<int>(draw.below(4));
    expect_plain(work, train_with_kills(work, draw, kills));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace shardlab
