#include "sched/lane_time.h"

#include <algorithm>

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
  EXPECT_EQ(found.reducing, wanted.reducing);
  EXPECT_EQ(found.lost, wanted.lost);
  EXPECT_EQ(found.absent, wanted.absent);
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
                              all.waiting_for_memory, all.waiting_for_job, all.reducing}) {
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

TEST(LaneTime, AUnitThatCameToNothingIsLost) {
  LaneClock clock;
  clock.wait(LaneClock::Wait::kCopy, at(2));
  clock.begin(at(5));
  clock.fail(at(9));
  clock.wait(LaneClock::Wait::kMemory, at(12));
  clock.begin(at(20));
  clock.computed(at(20), at(25));
  expect_equal(clock.time(at(25)), {.busy = ns(5),
                                    .waiting_for_copy = ns(3),
                                    .waiting_for_memory = ns(8),
                                    .waiting_for_job = ns(5),
                                    .lost = ns(4)});
}

// What it waited for until then stays what it was.
TEST(LaneTime, ADeviceThatIsLostIsAbsentUntilItIsBack) {
  LaneClock clock;
  clock.wait(LaneClock::Wait::kCopy, at(0));
  clock.leave(at(55), false);
  clock.wait(LaneClock::Wait::kMemory, at(60));  // It has nothing to wait for.
  clock.join(at(80));
  clock.begin(at(90));
  clock.computed(at(90), at(100));
  expect_equal(
      clock.time(at(100)),
      {.busy = ns(10), .waiting_for_copy = ns(55), .waiting_for_job = ns(10), .absent = ns(25)});
  clock.wait(LaneClock::Wait::kCopy, at(105));
  clock.leave(at(110), false);
  const LaneTime time = clock.time(at(200));
  EXPECT_EQ(time.tail, ns(10));
  EXPECT_EQ(time.absent, ns(25 + 90));
}

Duration away(const DeviceSpec& device, Instant makespan) {
  Duration sum{};
  for (std::size_t i = 0; i < device.leaves.size(); ++i) {
    const Instant back = i < device.returns.size() ? device.returns[i] : kNever;
    sum += std::max(std::min(back, makespan) - device.leaves[i], Duration{});
  }
  return sum;
}

// Whatever is lost: parts add up, absences are those of the cluster, a claim is held while a unit
// waits or runs, and tables with and without a timeline say the same.
TEST(LaneTime, PartsAddUpThoughDevicesLeave) {
  LaneTime all;
  for (std::uint64_t seed = 0; seed < instances::seeds(1500); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const char* names[] = {"lrtf", "fifo", "random", "sharp", "hold"};
    const std::string policy = names[seed % 5];
    scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, policy));
    scenarios::draw_absences(seed, true, drawn.cluster);
    EstimatedCosts costs(drawn.program);
    Timeline timeline;
    const auto chosen = make_policy(policy, drawn.program, 1);
    const Outcome outcome = simulate(drawn.program, drawn.cluster, *chosen, costs, &timeline);
    const Metrics shown = metrics(timeline);
    for (std::size_t d = 0; d < outcome.lanes.size(); ++d) {
      const LaneTime& lane = outcome.lanes[d];
      ASSERT_EQ(lane.sum(), outcome.makespan.time_since_epoch());
      ASSERT_EQ(lane.absent, away(drawn.cluster.devices[d], outcome.makespan));
      for (const Duration part : {lane.copying, lane.tail, lane.dispatch, lane.waiting_for_copy,
                                  lane.waiting_for_memory, lane.waiting_for_job, lane.lost}) {
        ASSERT_GE(part, Duration{});
      }
      ASSERT_EQ(lane.busy, outcome.busy[d]);
      ASSERT_LE(lane.busy + lane.reducing + lane.lost + lane.dispatch, outcome.occupied[d]);
      ASSERT_LE(outcome.occupied[d] + lane.absent, lane.sum());
      expect_equal(shown.devices[d].lane, lane);
      ASSERT_EQ(shown.devices[d].occupied, outcome.occupied[d]);
      all += lane;
    }
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(all.absent, Duration{});
  EXPECT_GT(all.lost, Duration{});
  EXPECT_GT(all.reducing, Duration{});
}

}  // namespace
}  // namespace shardlab
