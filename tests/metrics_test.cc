#include "report/metrics.h"

#include <random>

#include <gtest/gtest.h>

#include "report/device_table.h"
#include "tests/hand_made.h"

namespace shardlab {
namespace {

Duration ns(std::int64_t count) { return Duration(count); }

/// Two devices, 100 ns:
///
///     0         10        20        30        40        50        60        70        80        90
///     100 cpu-0: no job to 10 | memory to 15 | copy to 30, of which the lane copies 20-25 |
///     dispatch to 32 |
///            forward to 50 | second unit claimed at 45, copy until 55 | backward 55-80, 10 of it
///            recompute | lane demotes 80-84 | tail
///     cpu-1: nothing
Timeline two_devices() {
  HandMade made({"a"}, {"cpu-0", "cpu-1"}, 100);
  made.unit(0, 0, UnitKind::kForward, {10, 15, 30, 32, 50});
  made.unit(0, 0, UnitKind::kBackward, {45, 45, 55, 55, 80}).recompute = ns(10);
  made.lane_copy(0, 0, Direction::kPromote, 1'000, 20, 25);
  made.lane_copy(0, 0, Direction::kDemote, 600, 80, 84);
  return made.timeline;
}

TEST(Metrics, EachNanosecondOfALaneCountsOnce) {
  const LaneTime lane = metrics(two_devices()).devices.at(0).lane;
  EXPECT_EQ(lane.waiting_for_job, ns(10));    // 0-10
  EXPECT_EQ(lane.waiting_for_memory, ns(5));  // 10-15
  EXPECT_EQ(lane.waiting_for_copy, ns(15));   // 15-20, 25-30, 50-55
  EXPECT_EQ(lane.copying, ns(9));             // 20-25, 80-84
  EXPECT_EQ(lane.dispatch, ns(2));            // 30-32
  EXPECT_EQ(lane.busy, ns(43));               // 32-50, 55-80
  EXPECT_EQ(lane.tail, ns(16));               // 84-100
  EXPECT_EQ(lane.sum(), ns(100));
}

TEST(Metrics, NothingIsReadyUntilTheUnitBeforeIsDone) {
  HandMade made({"a"}, {"cpu"}, 60);
  //                                             claimed, reserved, arrived, from, to
  made.unit(0, 0, UnitKind::kForward, {0, 5, 20, 20, 30}).ready = Instant(ns(12));
  made.unit(0, 0, UnitKind::kForward, {30, 50, 52, 52, 60}).ready = Instant(ns(40));
  const LaneTime lane = metrics(made.timeline).devices.at(0).lane;
  EXPECT_EQ(lane.waiting_for_job, ns(12 + 10));  // 0-12, 30-40
  EXPECT_EQ(lane.waiting_for_copy, ns(8 + 2));   // 12-20, 50-52
  EXPECT_EQ(lane.waiting_for_memory, ns(10));    // 40-50
  EXPECT_EQ(lane.sum(), ns(60));
}

// A unit that adds up gradients holds the lane, but computes nothing.
TEST(Metrics, ReducingIsNotBusy) {
  HandMade made({"a"}, {"gpu"}, 60);
  made.unit(0, 0, UnitKind::kBackward, 0, 20);
  made.unit(0, 0, UnitKind::kReduce, 20, 50);
  made.unit(0, 0, UnitKind::kStep, 50, 60);
  const Metrics found = metrics(made.timeline);
  EXPECT_EQ(found.devices[0].lane.busy, ns(30));
  EXPECT_EQ(found.devices[0].lane.reducing, ns(30));
  EXPECT_EQ(found.devices[0].useful, ns(30));
  EXPECT_EQ(found.devices[0].occupied, ns(60));
  EXPECT_EQ(found.unit_time, ns(30));
  EXPECT_DOUBLE_EQ(idle(found).reducing, 0.5);
  EXPECT_NE(idle_text(idle(found)).find(", reducing gradients 50"), std::string::npos);
  const std::string table = device_table(made.timeline, found);
  EXPECT_NE(table.find("reducing %"), std::string::npos);
  EXPECT_EQ(table.find("absent %"), std::string::npos);
}

TEST(Metrics, UtilizationHasThreeNames) {
  const Metrics all = metrics(two_devices());
  EXPECT_EQ(all.devices[0].occupied, ns(70));  // 10-80
  EXPECT_EQ(all.devices[0].lane.busy, ns(43));
  EXPECT_EQ(all.devices[0].useful, ns(33));
  EXPECT_DOUBLE_EQ(all.occupied(), 0.35);  // The second device did nothing.
  EXPECT_DOUBLE_EQ(all.busy(), 0.215);
  EXPECT_DOUBLE_EQ(all.useful(), 0.165);
}

TEST(Metrics, ADeviceThatDidNothingIsAllTail) {
  const DeviceMetrics idle = metrics(two_devices()).devices.at(1);
  EXPECT_EQ(idle.lane.tail, ns(100));
  EXPECT_EQ(idle.lane.sum(), ns(100));
  EXPECT_EQ(idle.units, 0);
}

TEST(Metrics, CountsBytesByDirection) {
  const Metrics all = metrics(two_devices());
  EXPECT_EQ(all.devices[0].promoted, 1'000);
  EXPECT_EQ(all.devices[0].demoted, 600);
  EXPECT_EQ(all.devices[0].units, 2);
  EXPECT_EQ(all.bytes_moved(), 1'600);
}

TEST(Metrics, OverheadIsAllThatIsNotAUnit) {
  // Two devices of 100 ns, units of 18 and 25 ns.
  EXPECT_DOUBLE_EQ(metrics(two_devices()).overhead(), (200.0 - 43.0) / 200.0);
}

TEST(Metrics, TheUnitFurthestAlongSaysWhatIsWaitedFor) {
  HandMade made({"a", "b"}, {"cpu"}, 30);
  made.unit(0, 0, UnitKind::kForward, {0, 0, 10, 10, 20});
  made.unit(0, 1, UnitKind::kForward, {0, 20, 25, 25, 30});  // Without memory until 20.
  const LaneTime lane = metrics(made.timeline).devices.at(0).lane;
  EXPECT_EQ(lane.waiting_for_copy, ns(15));  // 0-10 for a, 20-25 for b.
  EXPECT_EQ(lane.waiting_for_memory, ns(0));
  EXPECT_EQ(lane.busy, ns(15));
}

TEST(Metrics, CutsSpansAtTheMakespanAndRepairsCrossedTimes) {
  HandMade made({"a"}, {"cpu"}, 20);
  made.unit(0, 0, UnitKind::kForward,
            {5, 3, 12, 10, 30});  // Reserved before claimed, arrived after from.
  const LaneTime lane = metrics(made.timeline).devices.at(0).lane;
  EXPECT_EQ(lane.waiting_for_job, ns(5));
  EXPECT_EQ(lane.waiting_for_copy, ns(5));
  EXPECT_EQ(lane.busy, ns(10));
  EXPECT_EQ(lane.sum(), ns(20));
}

TEST(Metrics, PartsAddUpWhateverTheTimeline) {
  std::mt19937 random(7);
  const auto below = [&](std::int64_t most) { return static_cast<std::int64_t>(random() % most); };
  for (int round = 0; round < 200; ++round) {
    HandMade made({"a", "b"}, {"cpu-0", "cpu-1"}, 1 + below(500));
    for (int i = 0; i < 12; ++i) {
      const std::int64_t at = below(500);
      made.unit(static_cast<std::uint32_t>(below(2)), 0, UnitKind::kFused,
                {at, at + below(50), at + below(50), at + below(50), at + 50 + below(50)});
      const std::int64_t copy = below(500);
      made.lane_copy(static_cast<std::uint32_t>(below(2)), 1, Direction::kPromote, 1, copy,
                     copy + below(9));
    }
    for (const DeviceMetrics& device : metrics(made.timeline).devices) {
      EXPECT_EQ(device.lane.sum(), made.timeline.makespan.time_since_epoch());
      for (const Duration part : {device.lane.busy, device.lane.copying, device.lane.tail,
                                  device.lane.dispatch, device.lane.waiting_for_copy,
                                  device.lane.waiting_for_memory, device.lane.waiting_for_job}) {
        EXPECT_GE(part, Duration{});
      }
    }
  }
}

TEST(Metrics, OfNothingAreZero) {
  const Metrics none = metrics(Timeline{});
  EXPECT_EQ(none.overhead(), 0);
  EXPECT_EQ(none.busy(), 0);
  HandMade made({}, {"cpu"}, 0);
  EXPECT_EQ(metrics(made.timeline).busy(), 0);
  EXPECT_EQ(metrics(made.timeline).overhead(), 0);
}

TEST(DeviceTable, ShowsEveryPart) {
  Timeline timeline = two_devices();
  timeline.copies[0].bytes = 3 << 20;
  timeline.peak = {5 << 20, 0};
  timeline.budget = {6 << 20, kUnlimited};
  EXPECT_EQ(
      device_table(timeline, metrics(timeline)),
      "device  occupied %  busy %  useful %  lane copies %  copy wait %  memory wait %  job wait %"
      "  dispatch %  tail %  in MiB  out MiB  peak MiB  budget MiB\n"
      "cpu-0         70.0    43.0      33.0            9.0         15.0            5.0        10.0"
      "         2.0    16.0     3.0      0.0       5.0         6.0\n"
      "cpu-1          0.0     0.0       0.0            0.0          0.0            0.0         0.0"
      "         0.0   100.0     0.0      0.0       0.0           -\n");
}

TEST(Metrics, UtilizationOfAnOutcomeIsTheMeanOverItsDevices) {
  Outcome outcome;
  outcome.makespan = Instant(ns(100));
  outcome.occupied = {ns(90), ns(70)};
  outcome.busy = {ns(80), ns(20)};
  outcome.recompute = {ns(30), ns(10)};
  const Utilization found = utilization(outcome);
  EXPECT_DOUBLE_EQ(found.occupied, 0.8);
  EXPECT_DOUBLE_EQ(found.busy, 0.5);
  EXPECT_DOUBLE_EQ(found.useful, 0.3);
  EXPECT_EQ(utilization(Outcome{}).busy, 0);
}

TEST(CompletionTimes, AreOfJobsThatCompletedAndTheNinetyFifthOfAHundredIsBelowTheLargest) {
  std::vector<JobEnd> jobs(101);
  for (int j = 0; j < 100; ++j) {
    JobEnd& end = jobs[static_cast<std::size_t>(j)];
    end.completed = true;
    end.arrived = Instant{std::chrono::seconds(5)};
    end.at = end.arrived + std::chrono::seconds(j + 1);
  }
  jobs.back().at = Instant{std::chrono::hours(1)};
  const auto found = completion_times(jobs);
  ASSERT_TRUE(found);
  EXPECT_DOUBLE_EQ(found->mean, 50.5);
  EXPECT_DOUBLE_EQ(found->p95, 95);
  EXPECT_DOUBLE_EQ(found->largest, 100);
  EXPECT_FALSE(completion_times({jobs.back()}));
}

}  // namespace
}  // namespace shardlab
