#include "sim/disk.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "policies/bounds.h"
#include "policies/registry.h"
#include "sched/limits.h"
#include "sim/costs.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/scenario.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

using scenarios::Lowered;
using scenarios::Scenario;

/// Jobs of one shard of ten bytes, which take ten to promote, compute and demote, on a device that
/// holds one of them.
Scenario jobs_of_ten_bytes(std::size_t jobs, std::int64_t minibatches) {
  scenarios::Shard shard;
  shard.forward = shard.recompute = shard.backward = 5;
  shard.step = shard.state = shard.output = 0;
  shard.forward_workspace = shard.saved = shard.backward_workspace = 0;
  shard.parameters = 10;
  Scenario scenario;
  scenario.policy = "round_robin";
  scenario.spare = {0};
  scenario.engines = 2;
  scenario.link = scenario.back = {0, 1};
  scenarios::ScenarioJob job;
  job.minibatches = minibatches;
  job.shards = {shard};
  scenario.jobs.assign(jobs, job);
  return scenario;
}

/// Two nanoseconds for a byte read, one for a byte written.
DiskSpec slow_disk() { return {{Duration{}, 0.5e9}, {Duration{}, 1e9}}; }

struct Ran {
  Timeline timeline;
  Outcome outcome;
};

Ran run(const Lowered& lowered, const std::string& name) {
  const auto policy = make_policy(name, track_count(lowered.program), 1);
  EstimatedCosts costs(lowered.program);
  Ran ran;
  ran.outcome = simulate(lowered.program, lowered.cluster, *policy, costs, &ran.timeline);
  return ran;
}

std::int64_t makespan(const Ran& ran) { return ran.outcome.makespan.time_since_epoch().count(); }

// Each in turn needs the memory of the host, which holds one of them: the other is written when
// it has come back (10), the one wanted is read (20).
TEST(Disk, WritesWhatWasUsedBeforeAndReadsWhatIsWanted) {
  Lowered lowered = scenarios::lower(jobs_of_ten_bytes(2, 2));
  EXPECT_EQ(makespan(run(lowered, "round_robin")), 4 * 30);
  lowered.cluster.disk = slow_disk();
  lowered.cluster.host_memory = 10;
  const Ran ran = run(lowered, "round_robin");
  EXPECT_EQ(makespan(ran), 4 * 30 + 3 * (10 + 20));
  EXPECT_EQ(ran.outcome.read, 30);
  EXPECT_EQ(ran.outcome.written, 30);
  EXPECT_EQ(ran.outcome.host_peak, 10);
}

// With room for both nothing is read or written; the third of three is read once, and what goes for
// it is what was used longest ago.
TEST(Disk, KeepsInMemoryWhatWasUsedLast) {
  Lowered lowered = scenarios::lower(jobs_of_ten_bytes(2, 3));
  lowered.cluster.disk = slow_disk();
  lowered.cluster.host_memory = 20;
  EXPECT_EQ(makespan(run(lowered, "round_robin")), 6 * 30);
  lowered = scenarios::lower(jobs_of_ten_bytes(3, 2));
  lowered.cluster.disk = slow_disk();
  lowered.cluster.host_memory = 20;
  const Ran one_by_one = run(lowered, "srtf");
  EXPECT_EQ(one_by_one.outcome.read, 10);
  EXPECT_EQ(one_by_one.outcome.written, 10);
}

TEST(HostMemory, LetsGoAtOnceWhatTheDiskHasTooAndWritesTheRestFirst) {
  const Lowered lowered = scenarios::lower(jobs_of_ten_bytes(3, 1));
  HostMemory memory(lowered.program, 10);
  const ItemIndex parameters = 0;
  const auto place = [&](std::uint32_t job) { return memory.place(JobId{job}, parameters); };
  using enum HostMemory::Answer;
  EXPECT_EQ(memory.want(place(1)), kNoRoom);
  ASSERT_EQ(memory.writes().size(), 1u);
  EXPECT_EQ(memory.writes().front(), place(0));
  EXPECT_EQ(memory.want_room(place(0)), kMoves);
  memory.written(place(0));
  EXPECT_EQ(memory.want(place(1)), kRead);
  EXPECT_EQ(memory.want(place(2)), kNoRoom);  // It is in use, so that it cannot even be written.
  memory.arrived(place(1));
  memory.leave(place(1), false);
  EXPECT_EQ(memory.want(place(2)), kRead);
  memory.arrived(place(2));
  memory.changed(place(2));
  memory.leave(place(2), false);
  EXPECT_EQ(memory.want(place(0)), kRead);  // What was changed since is not worth a write.
  const auto written = [&](std::uint32_t job) {
    return std::ranges::count(memory.writes(), place(job));
  };
  EXPECT_EQ(written(1) + written(2), 0);
  EXPECT_EQ(memory.peak(), 10);
}

TEST(Disk, WithMemoryForAllChangesNothing) {
  int compared = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Scenario scenario = scenarios::draw_with_disk(seed, "lrtf");
    scenario.host = -1;
    if (scenario.engines == 0) continue;  // What no link paces passes none without a disk.
    Lowered lowered = scenarios::lower(scenario);
    const auto& devices = lowered.cluster.devices;
    if (std::ranges::none_of(devices, [](const DeviceSpec& device) {
          return device.memory != kUnlimited || device.paced() || device.peer;
        })) {
      continue;  // Memory and copies are left out.
    }
    const Ran without = run(lowered, "lrtf");
    lowered.cluster.disk = slow_disk();
    const Ran with = run(lowered, "lrtf");
    ASSERT_EQ(makespan(with), makespan(without));
    ASSERT_EQ(with.outcome.read + with.outcome.written, 0);
    ++compared;
  }
  EXPECT_GT(compared, 100);
}

// Memory for one item is enough: all that waits gets its turn, whatever strategy, buffer or engine.
TEST(Disk, EveryRunEndsAndNeverTakesMoreThanTheMemory) {
  Bytes read = 0;
  int bound = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(600); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Lowered lowered = scenarios::lower(scenarios::draw_with_disk(seed, "sharp"));
    const Bytes least = scenarios::largest_item(lowered.program);
    lowered.cluster.disk = slow_disk();
    lowered.cluster.host_memory = least + static_cast<Bytes>(seed % 4) * least / 2;
    const Ran ran = run(lowered, "sharp");
    ASSERT_LE(ran.outcome.host_peak, lowered.cluster.host_memory);
    const Bounds least_time = bounds(lowered.program, lowered.cluster);
    ASSERT_GE(makespan(ran), least_time.greatest().count()) << least_time.binding();
    bound += least_time.disk > Duration{} ? 1 : 0;
    expect_valid(ran.timeline, lowered.program);
    const Ran again = run(lowered, "sharp");
    ASSERT_EQ(makespan(again), makespan(ran));
    ASSERT_EQ(again.outcome.written, ran.outcome.written);
    read += ran.outcome.read;
  }
  EXPECT_GT(read, 0);
  EXPECT_GT(bound, 0);
}

// Three jobs of 10 bytes, two minibatches each, on a device and a host that hold one of them: 10
// bytes stay, 20 are read once, whoever runs when.
TEST(Disk, WhatNothingHoldsBoundsTheTime) {
  Lowered lowered = scenarios::lower(jobs_of_ten_bytes(3, 2));
  lowered.cluster.disk = slow_disk();
  lowered.cluster.host_memory = 10;
  EXPECT_EQ(bounds(lowered.program, lowered.cluster).disk, Duration{2 * 20});
}

TEST(Disk, ADeviceThatIsLostLeavesNothingBehindIt) {
  for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Lowered lowered = scenarios::lower(jobs_of_ten_bytes(5, 4));
    lowered.cluster.devices.push_back(lowered.cluster.devices.front());
    lowered.cluster.devices[1].name = "other";
    lowered.cluster.disk = slow_disk();
    lowered.cluster.host_memory = 10 + static_cast<Bytes>(seed % 3) * 10;
    lowered.cluster.devices[seed % 2].leaves = {Instant{Duration{1 + seed}}};
    lowered.cluster.devices[seed % 2].returns = {Instant{Duration{11 + 2 * seed}}};
    const Ran ran = run(lowered, "lrtf");
    ASSERT_EQ(ran.outcome.devices_lost, makespan(ran) > static_cast<std::int64_t>(seed) ? 1 : 0);
    for (const JobEnd& end : ran.outcome.jobs) ASSERT_TRUE(end.completed);
  }
}

TEST(Disk, RefusesWhatNeitherHolds) {
  Lowered lowered = scenarios::lower(jobs_of_ten_bytes(3, 1));
  lowered.cluster.disk = slow_disk();
  const auto error = [&] {
    return error_of([&] { refuse_what_cannot_fit(lowered.program, lowered.cluster); });
  };
  lowered.cluster.host_memory = 10;
  EXPECT_EQ(error(), "no error");
  lowered.cluster.disk->memory = 29;
  EXPECT_EQ(error(),
            "the jobs need up to 30 B of disk, all that passes it counted as if it lay there at "
            "once; the cluster's `disk.memory` is 29 B; give more, or fewer or smaller jobs");
  lowered.cluster.host_memory = 9;
  EXPECT_EQ(error(),
            "job0: parameters of shard 0 need 10 B, the host's memory is 9 B; cut the "
            "model into more shards");
}

}  // namespace
}  // namespace shardlab
