#include "exec/emulated.h"

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policies/planner.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

using Clock = EmulatedLane::Clock;
constexpr Clock::time_point kBegin{std::chrono::hours(1)};
constexpr Duration kWork = std::chrono::milliseconds(10), kLate = std::chrono::milliseconds(2);

TEST(EmulatedLane, TakesItsWholeTimeAfterARest) {
  EmulatedLane lane;
  EXPECT_EQ(lane.deadline(kBegin, kWork), kBegin + kWork);
  lane.ended(kBegin, kBegin + kLate);
  const Clock::time_point later = kBegin + kLate + EmulatedLane::kAtOnce;
  EXPECT_EQ(lane.deadline(later, kWork), later + kWork);
}

TEST(EmulatedLane, LatenessOfWakingUpDoesNotAddUp) {
  EmulatedLane lane;
  Clock::time_point now = kBegin;
  for (int unit = 0; unit < 100; ++unit) {
    const Clock::time_point due = lane.deadline(now, kWork);
    now = due + kLate;
    lane.ended(due, now);
  }
  EXPECT_EQ(now, kBegin + 100 * kWork + kLate);
}

TEST(EmulatedLane, WhatTheRuntimeTakesBetweenUnitsIsNotMadeUpFor) {
  EmulatedLane lane;
  constexpr Duration kDispatch = std::chrono::microseconds(100);
  Clock::time_point now = kBegin;
  for (int unit = 0; unit < 100; ++unit) {
    now += kDispatch;
    const Clock::time_point due = lane.deadline(now, kWork);
    now = due + kLate;
    lane.ended(due, now);
  }
  EXPECT_EQ(now, kBegin + 100 * (kWork + kDispatch) + kLate);
}

TEST(EmulatedLane, AWakeUpLaterThanTheNextUnitTakesIsMadeUpForByTheOnesAfterIt) {
  EmulatedLane lane;
  lane.ended(kBegin, kBegin + 3 * kWork);
  Clock::time_point now = kBegin + 3 * kWork;
  for (int unit = 0; unit < 4; ++unit) {
    const Clock::time_point due = lane.deadline(now, kWork);
    now = std::max(now, due);
    lane.ended(due, now);
  }
  EXPECT_EQ(now, kBegin + 4 * kWork);
}

/// Jobs whose batches may be cut, with times of microseconds.
instances::Case several(int jobs) {
  instances::Case drawn = instances::draw({.jobs = jobs, .shards = 4, .minibatches = 3}, 7);
  for (Job& job : drawn.workload.jobs) job.batch = 4;
  const std::vector<ModelProfile> models = drawn.profile.models;
  drawn.profile.models.clear();
  for (ModelProfile entry : models) {
    for (LayerCost& layer : entry.layers) {
      for (Measured* time : {&layer.loaded.forward, &layer.loaded.backward}) time->median *= 2000;
      layer.alone = layer.loaded;
    }
    for (entry.batch = 1; entry.batch <= 4; ++entry.batch) drawn.profile.models.push_back(entry);
  }
  return drawn;
}

Cluster emulated_devices(std::size_t count, int engines) {
  Cluster cluster = instances::devices(count, 4096, {Duration{20'000}, 1e8}, engines);
  for (DeviceSpec& device : cluster.devices) device.kind = kEmulated;
  return cluster;
}

RunResult emulated(const Program& program, const Cluster& cluster) {
  const auto policy = make_policy("lrtf", track_count(program), 1);
  return emulate(program, cluster, *policy, {});
}

TEST(Emulation, RunsEveryStrategyToItsEnd) {
  for (const std::string strategy :
       {"spill", "resident", "model_parallel", "gpipe(2,2)", "one_f_one_b(4,4)",
        "interleaved(2,2,2)", "data_parallel(2,resident)", "data_parallel(2,gpipe(2,2))",
        "zero_offload(4)"}) {
    for (const int engines : {0, 1, 2}) {
      SCOPED_TRACE(strategy + ", copy engines: " + std::to_string(engines));
      const instances::Case drawn = several(3);
      const Cluster cluster = emulated_devices(4, engines);
      PlanChoice choice;
      choice.strategy = parse_strategy_choice(strategy);
      const Plan plan = make_plan(drawn.workload, cluster, drawn.profile, choice);
      const Program program = lower(drawn.workload, cluster, drawn.profile, plan);
      const RunResult result = emulated(program, cluster);
      expect_valid(result.timeline, program);
      for (const JobEnd& end : result.outcome.jobs) {
        EXPECT_TRUE(end.completed) << end.reason;
        EXPECT_EQ(end.minibatches, 3);
      }
      EXPECT_TRUE(result.jobs.at(0).losses.empty());
    }
  }
}

TEST(Emulation, AUnitTakesWhatItsOwnDeviceTakes) {
  const instances::Case drawn = several(6);
  Cluster cluster = emulated_devices(3, 0);
  cluster.devices[1].speed = 0.25;
  cluster.devices[2].speed = 2;
  const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
  const RunResult result = emulated(program, cluster);
  std::set<DeviceId> seen;
  for (const UnitSpan& span : result.timeline.units) {
    if (!seen.insert(span.device).second) continue;  // Later ones make up for lateness.
    const UnitTimes times =
        times_of(program, program.class_of[index(span.device)], span.job, span.unit);
    EXPECT_GE(span.to - span.from, times.loaded.total);
  }
  EXPECT_EQ(seen.size(), 3U);
}

TEST(Emulation, TellsHowFarEveryJobIsWithoutALoss) {
  const instances::Case drawn = several(2);
  const Cluster cluster = emulated_devices(4, 0);
  PlanChoice choice;
  choice.strategy = parse_strategy_choice("one_f_one_b(2,4)");
  const Program program = lower(drawn.workload, cluster, drawn.profile,
                                make_plan(drawn.workload, cluster, drawn.profile, choice));
  std::vector<std::vector<std::int64_t>> told(2);
  RunOptions options;
  std::size_t ended = 0;
  options.progress = [&](const RunProgress& now) {
    told[index(now.job)].push_back(now.minibatch);
    EXPECT_FALSE(now.loss.has_value());
    EXPECT_EQ(now.job_ended, now.minibatch == 3);
    ended = now.jobs_ended;
  };
  const auto policy = make_policy("lrtf", track_count(program), 1);
  (void)emulate(program, cluster, *policy, options);
  EXPECT_EQ(told, (std::vector<std::vector<std::int64_t>>{{1, 2, 3}, {1, 2, 3}}));
  EXPECT_EQ(ended, 2U);
}

TEST(Emulation, RefusesWhatItCannotEmulate) {
  const Program program = instances::chains({{1}, {1}});
  const auto refused = [&](const Cluster& cluster) {
    return error_of([&] { (void)emulated(program, cluster); });
  };
  Cluster cluster = emulated_devices(2, 2);
  EXPECT_EQ(refused(cluster), "no error");
  cluster.devices[1].slow_down_promote = 1.5;
  EXPECT_EQ(refused(cluster),
            "device d1: slow_down: copies do not slow emulated devices; simulate it, or take it "
            "out");
  cluster.devices[1].slow_down_promote = 1;
  cluster.switches.push_back({"pcie", 1e9, 1e9, 0, kNoSwitch});
  cluster.devices[1].parent = 0;
  EXPECT_EQ(refused(cluster),
            "device d1: parent: emulated devices cannot share links; simulate it, or take it out");
  cluster.devices[1].parent = kNoSwitch;
  cluster.devices[1].kind = "cpu";
  EXPECT_TRUE(is_emulated(cluster));
  EXPECT_EQ(refused(cluster),
            "device d1: kind: is \"cpu\" where other devices are emulated; jobs train on all of "
            "them or on none");
  cluster.devices[0].kind = "cpu";
  EXPECT_FALSE(is_emulated(cluster));
}

}  // namespace
}  // namespace shardlab
