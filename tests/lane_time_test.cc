#include "sched/lane_time.h"

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "report/metrics.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/scenario.h"

namespace shardlab {
namespace {

Duration ns(std::int64_t count) { return Duration(count); }
Instant at(std::int64_t count) { return Instant(ns(count)); }

void expect_equal(const LaneTime& found, const LaneTime& wanted) {
  EXPECT_EQ(found.busy, wanted.busy);
  EXPECT_EQ(found.copying, wanted.copying);
  EXPECT_EQ(found.tail, wanted.tail);
  EXPECT_EQ(found.dispatch, wanted.dispatch);
  EXPECT_EQ(found.waiting_for_copy, wanted.waiting_for_copy);
  EXPECT_EQ(found.waiting_for_memory, wanted.waiting_for_memory);
  EXPECT_EQ(found.waiting_for_job, wanted.waiting_for_job);
}

/// Returns what lanes waited for in all.
LaneTime compare_with_timeline(const scenarios::Lowered& lowered, const std::string& policy) {
  const auto simulated = [&](Timeline* timeline) {
    EstimatedCosts costs(lowered.program);
    const auto chosen = make_policy(policy, lowered.program, 1);
    return simulate(lowered.program, lowered.cluster, *chosen, costs, timeline);
  };
  Timeline timeline;
  const std::vector<LaneTime> with = simulated(&timeline).lanes, without = simulated(nullptr).lanes;
  const Metrics wanted = metrics(timeline);
  LaneTime sum;
  for (std::size_t d = 0; d < wanted.devices.size(); ++d) {
    expect_equal(with.at(d), wanted.devices[d].lane);
    expect_equal(without.at(d), wanted.devices[d].lane);
    sum += without.at(d);
  }
  return sum;
}

// Every strategy, memory, links, lanes that copy, dispatch, late arrivals.
TEST(LaneTime, WithoutATimelineIsWhatATimelineTells) {
  LaneTime all;
  for (const char* policy : {"lrtf", "fifo", "random", "sharp", "hold"}) {
    for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
      SCOPED_TRACE(testing::Message() << policy << ", seed " << seed);
      all += compare_with_timeline(scenarios::lower(scenarios::draw(seed, "lrtf")), policy);
      if (testing::Test::HasFailure()) return;
    }
  }
  for (const Duration part : {all.busy, all.copying, all.tail, all.dispatch, all.waiting_for_copy,
                              all.waiting_for_memory, all.waiting_for_job}) {
    EXPECT_GT(part, Duration{});
  }
}

TEST(LaneTime, WhatALaneWaitedForAtTheEndIsItsTail) {
  LaneClock clock;
  clock.wait(LaneClock::Wait::kCopy, at(10));
  clock.begin(at(15));
  clock.computed(at(17), at(30));
  clock.wait(LaneClock::Wait::kMemory, at(33));
  const LaneTime time = clock.time(at(40));
  expect_equal(time, {.busy = ns(13),
                      .tail = ns(10),
                      .dispatch = ns(2),
                      .waiting_for_copy = ns(5),
                      .waiting_for_job = ns(10)});
  EXPECT_EQ(time.sum(), ns(40));
}

TEST(LaneTime, AUnitThatCameToNothingCountsAsNothingReady) {
  LaneClock clock;
  clock.begin(at(5));
  clock.fail();
  clock.wait(LaneClock::Wait::kMemory, at(12));
  clock.begin(at(20));
  clock.computed(at(20), at(25));
  expect_equal(clock.time(at(25)),
               {.busy = ns(5), .waiting_for_memory = ns(8), .waiting_for_job = ns(12)});
}

}  // namespace
}  // namespace shardlab
