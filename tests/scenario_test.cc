#include "tests/scenario.h"

#include <set>

#include <gtest/gtest.h>

namespace shardlab::scenarios {
namespace {

TEST(Scenario, IsDrawnFromItsSeedAlone) {
  EXPECT_EQ(draw(7, "lrtf"), draw(7, "lrtf"));
  EXPECT_NE(draw(7, "lrtf"), draw(8, "lrtf"));
}

// Every strategy, buffers, limits of admission, late arrivals, priorities, all kinds of links.
TEST(Scenario, ManyTogetherHaveEverything) {
  std::set<Strategy> strategies;
  std::set<std::int64_t> slots, engines, limits;
  std::set<std::int64_t> buffers, priorities;
  bool unlimited = false, late = false, arrives = false, on_host = false;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Scenario drawn = draw(seed, "lrtf");
    slots.insert(drawn.slots);
    engines.insert(drawn.engines);
    limits.insert(drawn.admit);
    buffers.insert(drawn.buffers.begin(), drawn.buffers.end());
    unlimited = unlimited || drawn.spare.front() < 0;
    for (const ScenarioJob& job : drawn.jobs) {
      strategies.insert(job.strategy);
      priorities.insert(job.priority);
      late = late || job.shards.front().late > 0;
      arrives = arrives || job.arrival > 0;
      on_host = on_host || job.host_step > 0;
    }
  }
  EXPECT_EQ(strategies.size(), 7u);
  EXPECT_EQ(slots, (std::set<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(engines, (std::set<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(limits, (std::set<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(buffers, (std::set<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(priorities, (std::set<std::int64_t>{0, 1, 2}));
  EXPECT_TRUE(unlimited && late && arrives && on_host);
}

// And devices of several speeds, each of which copies slow or do not, and bases.
TEST(Scenario, MixedOnesHaveTheRest) {
  std::set<std::int64_t> speeds, slow, bases;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Scenario drawn = draw_mixed(seed, "lrtf");
    speeds.insert(drawn.speeds.begin(), drawn.speeds.end());
    if (drawn.engines > 0) slow.insert({drawn.slow_there, drawn.slow_back});
    for (const ScenarioJob& job : drawn.jobs) bases.insert(job.base);
  }
  EXPECT_EQ(speeds, (std::set<std::int64_t>{30, 50, 100, 200}));
  EXPECT_EQ(slow, (std::set<std::int64_t>{1, 2, 4}));
  EXPECT_EQ(bases, (std::set<std::int64_t>{0, 1, 2}));
}

// What it prints is what stands here.
TEST(Scenario, IsPrintedAsItIsWritten) {
  // clang-format off
  const Scenario written =
Scenario{
    .policy = "lrtf", .slots = 2, .admit = 0, .engines = 1,
    .spare = {3, -1}, .buffers = {2, 0}, .speeds = {50, 200},
    .slow_there = 2, .slow_back = 4,
    .link = {0, 1}, .back = {2, 0}, .copy = {0, 0}, .peer = {4, 5},
    .network = {6, 7}, .host = 8, .read = {9, 10}, .write = {11, 12}, .dispatch = 1, .loaded = 150,
    .jobs = {
      {Strategy::kGpipe, false, 4, 2, {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}, {1}, 3, 2, 0, 0, -1, 0},
      {Strategy::kSpill, true, 0, 1, {{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}, {}, 1, 1, 1, 9, 3, 2}}};
  // clang-format on
  EXPECT_EQ(to_string(written) + "\n", R"(Scenario{
    .policy = "lrtf", .slots = 2, .admit = 0, .engines = 1,
    .spare = {3, -1}, .buffers = {2, 0}, .speeds = {50, 200},
    .slow_there = 2, .slow_back = 4,
    .link = {0, 1}, .back = {2, 0}, .copy = {0, 0}, .peer = {4, 5},
    .network = {6, 7}, .host = 8, .read = {9, 10}, .write = {11, 12}, .dispatch = 1, .loaded = 150,
    .jobs = {
      {Strategy::kGpipe, false, 4, 2, {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}, {1}, 3, 2, 0, 0, -1, 0},
      {Strategy::kSpill, true, 0, 1, {{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}, {}, 1, 1, 1, 9, 3, 2}}}
)");
}

// Needs two jobs, of which one has two shards with more than 6 bytes of state, and a second device.
TEST(Shrink, LeavesWhatTheFailureNeedsAndNothingElse) {
  const auto fails = [](const Scenario& scenario) {
    if (scenario.jobs.size() < 2 || scenario.spare.size() < 2) return false;
    for (const ScenarioJob& job : scenario.jobs) {
      std::size_t large = 0;
      for (const Shard& shard : job.shards) large += shard.state > 6 ? 1 : 0;
      if (large == 2) return true;
    }
    return false;
  };
  int shrunk = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Scenario drawn = draw(seed, "lrtf");
    if (!fails(drawn)) continue;
    Scenario smallest = shrink(drawn, fails);
    if (smallest.jobs[0].shards.size() == 1) std::swap(smallest.jobs[0], smallest.jobs[1]);
    Scenario expected;
    expected.spare.assign(2, smallest.spare.front() < 0 ? -1 : 0);
    Shard large;
    large.state = 7;
    expected.jobs = {{.shards = {large, large}, .bound = {}}, {.shards = {Shard{}}, .bound = {}}};
    EXPECT_EQ(to_string(smallest), to_string(expected)) << "seed " << seed;
    ++shrunk;
  }
  EXPECT_GT(shrunk, 5);
}

}  // namespace
}  // namespace shardlab::scenarios
