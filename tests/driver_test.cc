#include "sched/driver.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "core/error.h"
#include "policies/registry.h"
#include "policies/replay.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "sched/scan_policy.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

/// One character per nanosecond and device.
std::string draw(const Timeline& timeline) {
  std::vector<std::string> rows(
      timeline.devices.size(),
      std::string(static_cast<std::size_t>(timeline.makespan.time_since_epoch().count()), '.'));
  for (const UnitSpan& span : timeline.units) {
    for (Instant t = span.from; t < span.to; t += Duration{1}) {
      rows[index(span.device)][static_cast<std::size_t>(t.time_since_epoch().count())] =
          timeline.jobs[index(span.job)][0];
    }
  }
  std::string text;
  for (const auto& row : rows) text += row + "\n";
  return text;
}

Timeline run(const Program& program, const Cluster& cluster, const std::string& policy) {
  Timeline timeline;
  EstimatedCosts costs(program);
  const auto chosen = make_policy(policy, program.jobs.size(), 1);
  simulate(program, cluster, *chosen, costs, &timeline);
  return timeline;
}

TEST(Driver, LrtfKeepsTheLongestJobMoving) {
  EXPECT_EQ(draw(run(instances::chains({{1, 1}, {2, 2, 2}, {3}}), instances::devices(2), "lrtf")),
            "BBBBBB\n"
            "CCCAA.\n");
}

TEST(Driver, SrtfFinishesShortJobsFirst) {
  EXPECT_EQ(draw(run(instances::chains({{1, 1}, {2, 2, 2}, {3}}), instances::devices(1), "srtf")),
            "AACCCBBBBBB\n");
}

TEST(Driver, RoundRobinTakesTurns) {
  EXPECT_EQ(
      draw(run(instances::chains({{1, 1}, {1, 1}, {2}}), instances::devices(1), "round_robin")),
      "ABCCAB\n");
}

// A, then its second unit at once; B comes when the lane has rested for 4 ns.
TEST(Driver, AloneOnlyALaneThatHasRestedIsWoken) {
  Program program = instances::chains({{3, 3}, {2}});
  program.dispatch_alone = Duration{4};
  program.dispatch_loaded = Duration{1};
  program.jobs[1].arrival = Instant{Duration{15}};
  EXPECT_EQ(draw(run(program, instances::devices(1), "fifo")), "....AAA.AAA........BB\n");
}

TEST(Driver, BesideOthersNoLaneIsWoken) {
  Program program = instances::chains({{3}, {3}});
  program.dispatch_alone = Duration{4};
  program.dispatch_loaded = Duration{1};
  EXPECT_EQ(draw(run(program, instances::devices(2), "fifo")), ".AAA\n.BBB\n");
}

// The third device takes three times as long. C and D are left to the others, though these run.
TEST(Driver, HeftLeavesUnitsToDevicesThatEndThemEarlier) {
  Program program = instances::chains({{8}, {8}, {8}, {8}, {3}});
  program.class_of = {0, 0, 1};
  auto& slow = program.times.emplace_back();
  for (const JobProgram& job : program.jobs) {
    const UnitCost thrice{3 * job.units[0].loaded.total, {}};
    slow.push_back({{thrice, thrice}});
  }
  EXPECT_EQ(draw(run(program, instances::devices(3), "heft")),
            "AAAAAAAACCCCCCCC\n"
            "BBBBBBBBDDDDDDDD\n"
            "EEEEEEEEE.......\n");
}

class EveryPolicy : public testing::TestWithParam<PolicyInfo> {};

// Hundreds of random cases, memory and links included, under every strategy.
TEST_P(EveryPolicy, RunsEveryUnitOnceInOrderWithinTheBudget) {
  const std::string policy(GetParam().name);
  std::uint64_t others = 0;  // Runs that took another time without times.
  for (std::uint64_t seed = 0; seed < instances::seeds(400); ++seed) {
    instances::Draw pick(seed);
    instances::Shape shape;
    shape.jobs = 1 + pick(6);
    shape.shards = 1 + pick(4);
    shape.slots = 1 + pick(3);
    instances::Case drawn = instances::draw(shape, seed);
    const std::size_t count = 1 + static_cast<std::size_t>(pick(4));
    for (std::size_t j = 0; j < drawn.plan.jobs.size(); ++j) {
      JobPlan& plan = drawn.plan.jobs[j];
      if (pick(3) == 0) {
        plan.strategy = Strategy::kModelParallel;
        for (int s = 0; s < shape.shards; ++s)
          plan.device.push_back(device_id(static_cast<std::size_t>(s) % count));
        plan.recompute = pick(3) > 0;
      } else if (shape.shards == 1 && pick(2) == 0) {
        plan.strategy = Strategy::kResident;
      }
    }
    drawn.plan.admit = pick(3);
    if (pick(2) == 0) {
      for (Job& job : drawn.workload.jobs) job.arrival = Duration{pick(100)};
    }
    LinkSpec link;
    if (pick(3) > 0) link = {Duration{pick(5)}, 1e9 / (1 + pick(4))};
    Cluster cluster = instances::devices(count, kUnlimited, link, pick(3));
    if (pick(2) == 0) {
      for (DeviceSpec& device : cluster.devices) device.back = {Duration{pick(9)}, 3e8};
    }
    drawn.profile.loaded.copy = drawn.profile.alone.copy = {Duration{pick(3)}, pick(2) * 2e9};
    drawn.profile.loaded.dispatch = Duration{pick(2)};
    const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
    for (DeviceSpec& device : cluster.devices)
      device.memory = instances::tight_budget(program) + pick(10);
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Timeline timeline = run(program, cluster, policy);
    expect_valid(timeline, program);
    for (const JobEnd& end : timeline.ends) ASSERT_TRUE(end.completed);
    for (const UnitSpan& span : timeline.units) {
      ASSERT_GE(span.claimed, program.jobs[index(span.job)].arrival);
    }

    // The same decisions with the same durations are the same run; what copy engines took was
    // measured, whatever the links of the cluster would say.
    for (DeviceSpec& device : cluster.devices) {
      if (device.copy_engines > 0) device.link = {Duration{1000}, 1e6};
    }
    const auto followed = [&](Replay::Times times) {
      Replay replay(replaying(drawn.plan, timeline), program, cluster.devices.size(), times);
      MeasuredCosts measured(timeline, program, MeasuredCosts::Detail::kEach);
      Timeline again;
      simulate(program, cluster, replay, measured, &again);
      expect_valid(again, program);
      return seconds(again.makespan);
    };
    ASSERT_EQ(followed(Replay::Times::kKept), seconds(timeline.makespan));
    // Without times jobs are admitted in the order of their first claims and nobody waits on
    // purpose, which changes little for policies that never do.
    const double early = followed(Replay::Times::kIgnored) / seconds(timeline.makespan);
    others += std::abs(early - 1) > 0.01 ? 1 : 0;
    if (HasFailure()) return;
  }
  constexpr std::array kWait = {"heft", "hold", "sharp", "task_parallel"};
  if (std::ranges::count(kWait, policy) == 0) {
    EXPECT_LE(others, instances::seeds(400) / 200);
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryPolicy, testing::ValuesIn(known_policies()),
                         [](const auto& info) { return std::string(info.param.name); });

// The slow way to write a policy decides as the fast one.
TEST(Driver, AScanPolicyIsThePolicyWhoseRuleItHas) {
  const auto longest = [](std::span<const Candidate> units, const DeviceView&) {
    const auto more = [](const Candidate& a, const Candidate& b) {
      return a.remaining < b.remaining;
    };
    return static_cast<int>(std::max_element(units.begin(), units.end(), more) - units.begin());
  };
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const instances::Case drawn =
        instances::draw({.jobs = 5, .shards = 3, .minibatches = 4, .slots = 2}, seed);
    Cluster cluster = instances::devices(2, kUnlimited, {Duration{2}, 1e9});
    const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
    for (DeviceSpec& device : cluster.devices) device.memory = instances::tight_budget(program);
    ScanPolicy scan(longest, /*lookahead=*/true);
    EstimatedCosts costs(program);
    Timeline timeline;
    simulate(program, cluster, scan, costs, &timeline);
    expect_valid(timeline, program);
    ASSERT_EQ(timeline.makespan, run(program, cluster, "lrtf").makespan) << "seed " << seed;
  }
}

// One device, one slot, room for one job: every unit loads what it lacks and writes it back.
TEST(Driver, JobsThatDoNotFitTogetherSwapAtEveryTurn) {
  instances::Shape shape;
  shape.jobs = 2;
  shape.shards = 1;
  shape.minibatches = 2;
  instances::Case drawn = instances::draw(shape, 7);
  Cluster cluster = instances::devices(1, kUnlimited, {Duration{}, 1e9});  // one byte per ns
  Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
  cluster.devices[0].memory =
      instances::tight_budget(program);  // only one job fits: every unit swaps
  const Timeline timeline = run(program, cluster, "round_robin");
  expect_valid(timeline, program);
  EXPECT_EQ(timeline.units.size(), 4u);
  // 4 units x (parameters, state) x (in, out), but one copy of parameters was still there.
  EXPECT_EQ(timeline.copies.size(), 15u);
}

TEST(Driver, DoubleBufferingHidesLoadsBehindComputing) {
  instances::Shape shape;
  shape.jobs = 6;
  shape.shards = 4;
  shape.minibatches = 20;
  shape.largest = 8;
  std::int64_t with = 0, without = 0;
  for (const int slots : {1, 2}) {
    shape.slots = slots;
    const instances::Case drawn = instances::draw(shape, 3);
    Cluster cluster = instances::devices(2, kUnlimited, {Duration{1}, 1e9});
    Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
    for (auto& device : cluster.devices)
      device.memory = 2 * instances::tight_budget(program) / program.slots + 20;
    (slots == 1 ? without : with) =
        run(program, cluster, "lrtf").makespan.time_since_epoch().count();
  }
  EXPECT_LT(with, without * 9 / 10);
}

/// Equal jobs whose units all take as long, and whose copies take half of that, where no device
/// waits for room.
TEST(Driver, DoubleBufferingHidesNearlyAllOfCopiesHalfAsLongAsComputing) {
  constexpr Bytes kParameters = 64 << 20;
  constexpr std::int64_t kUnit = 50'000'000, kUnits = 7, kLayers = 4, kDevices = 8;
  instances::Case drawn =
      instances::draw({.jobs = 16, .shards = kLayers, .minibatches = 40, .slots = 2}, 1);
  for (ModelProfile& model : drawn.profile.models) {
    for (LayerCost& layer : model.layers) {
      layer.parameters = layer.state = kParameters;
      layer.output = layer.forward_workspace = layer.saved = layer.backward_workspace = 1024;
      layer.loaded.forward.median = Duration{kUnit};
      layer.loaded.recompute.median = Duration{kUnit * 3 / 10};
      layer.loaded.backward.median = Duration{kUnit * 6 / 10};
      layer.loaded.step.median = Duration{kUnit / 10};
      layer.alone = layer.loaded;
    }
  }
  const double copied = static_cast<double>(kParameters) * (kUnits + kLayers);
  const double rate = copied / (0.5 * kUnits * kUnit * 1e-9);
  const auto makespan = [&](LinkSpec link) {
    const Cluster cluster = instances::devices(kDevices, 20 * kParameters, link, 2);
    const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
    return seconds(run(program, cluster, "lrtf").makespan);
  };
  const double copies = 16 * 40 * copied / rate / kDevices;  // Of a device.
  const double shown = makespan({{}, rate}) - makespan({});
  EXPECT_LT(shown, 0.05 * copies);
}

// Both jobs are claimed at once. There: 10 + a byte per ns; back: 20 + a byte per 2 ns.
//   two engines  there  A 0-110-320  B 320-430-640      one engine  there and back
//                A runs 320-420, B 640-740              A 0-110-320  B 320-430-640
//                back   A 420-1060  B 1060-1700         A 640-1280   B 1280-1920
TEST(Driver, CopyEnginesCopyBothWaysAtOnceOrInTurn) {
  instances::Case drawn =
      instances::draw({.jobs = 2, .shards = 1, .minibatches = 1, .slots = 2}, 1);
  for (ModelProfile& model : drawn.profile.models) {
    LayerCost& layer = model.layers[0];
    layer.parameters = 100;
    layer.state = 200;
    layer.loaded.recompute.median = Duration{30};
    layer.loaded.backward.median = Duration{60};
    layer.loaded.step.median = Duration{10};
    layer.alone = layer.loaded;
  }
  for (const int engines : {1, 2}) {
    Cluster cluster = instances::devices(1, kUnlimited, {Duration{10}, 1e9}, engines);
    cluster.devices[0].back = {Duration{20}, 5e8};
    const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
    const Timeline timeline = run(program, cluster, "fifo");
    expect_valid(timeline, program);
    ASSERT_EQ(timeline.units.size(), 2u);
    EXPECT_EQ(timeline.units[0].from, Instant{Duration{320}});
    EXPECT_EQ(timeline.units[1].from, Instant{Duration{640}});
    EXPECT_EQ(timeline.ends[0].at, Instant{Duration{engines == 2 ? 1060 : 1280}});
    EXPECT_EQ(timeline.makespan, Instant{Duration{engines == 2 ? 1700 : 1920}});
  }
}

// One way alone may be paced, by a lane without copy engines and with memory for all, too.
TEST(Driver, ALinkThatIsPacedOnlyBackDelaysTheEnd) {
  const instances::Case drawn = instances::draw({.jobs = 1, .shards = 1, .minibatches = 1}, 1);
  for (const int engines : {0, 1, 2}) {
    Cluster cluster = instances::devices(1, kUnlimited, {}, engines);
    const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
    const Instant free = run(program, cluster, "fifo").makespan;
    cluster.devices[0].back = {Duration{1000}, 0};
    EXPECT_EQ(run(program, cluster, "fifo").makespan, free + Duration{2000})
        << engines << " copy engines: parameters and state, one after the other";
  }
}

TEST(Driver, RefusesWhatCanNeverFitNamingJobShardAndBytes) {
  const instances::Case drawn = instances::draw({}, 1);
  Cluster cluster = instances::devices(2, 10);
  const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
  try {
    refuse_what_cannot_fit(program, cluster);
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("job0: shard 0 (forward) needs"), std::string::npos) << text;
    EXPECT_NE(text.find("10 bytes"), std::string::npos) << text;
  }
}

TEST(Driver, RefusesToKeepActivationsThatSpill) {
  instances::Case drawn = instances::draw({}, 1);
  drawn.plan.jobs[1].recompute = false;
  EXPECT_EQ(
      error_of([&] { lower(drawn.workload, instances::devices(2), drawn.profile, drawn.plan); }),
      "job1: spill cannot keep activations; let it recompute them");
}

TEST(Driver, RefusesTooLittleHostMemory) {
  const instances::Case drawn = instances::draw({}, 1);
  Cluster cluster = instances::devices(2);
  cluster.host_memory = 10;
  const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
  const std::string text = error_of([&] { refuse_what_cannot_fit(program, cluster); });
  EXPECT_NE(text.find("`host_memory` is 10 B"), std::string::npos) << text;
}

// Sums of times and sizes that a file may hold must not overflow.
TEST(Driver, RefusesWhatWouldOutliveTheClock) {
  const auto error = [](const auto& spoil) {
    instances::Case drawn = instances::draw({}, 1);
    Cluster cluster = instances::devices(2);
    spoil(drawn, cluster);
    return error_of([&] { lower(drawn.workload, cluster, drawn.profile, drawn.plan); });
  };
  static constexpr std::int64_t kMost = std::int64_t{1} << 60;
  const auto expect_part = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect_part(error([](auto& drawn, auto&) { drawn.workload.jobs[2].minibatches = kMost; }),
              "job2: 1152921504606846976 minibatches would take more than 73 years");
  expect_part(error([](auto& drawn, auto&) {
                for (LayerCost& layer : drawn.profile.models[0].layers)
                  layer.loaded.step.median = Duration{kMost};
              }),
              "job0: 3 minibatches would take more than 73 years");
  expect_part(error([](auto& drawn, auto&) {
                for (LayerCost& layer : drawn.profile.models[1].layers) layer.state = kMost;
              }),
              "job1: its layers take more than 2 EiB");
  expect_part(error([](auto& drawn, auto&) { drawn.profile.alone.copy.bytes_per_second = 1e-30; }),
              "the links' rates");
  expect_part(error([](auto&, auto& cluster) { cluster.devices[1].link.bytes_per_second = 1e-9; }),
              "the links' rates");
  expect_part(error([](auto&, auto& cluster) {
                cluster.devices[1].back = {Duration{}, 1e-9};
              }),
              "the links' rates");
}

/// Costs of two kinds: the profile's own, and of another device; each may be faster or slower.
class DeviceClasses : public testing::Test {
 protected:
  DeviceClasses() {
    shape_.jobs = 1;
    shape_.minibatches = 2;
    drawn_ = instances::draw(shape_, 3);
    Profile other = drawn_.profile;
    for (LayerCost& layer : other.models[0].layers) {
      for (Measured* time : {&layer.loaded.forward, &layer.loaded.recompute, &layer.loaded.backward,
                             &layer.loaded.step}) {
        time->median *= 7;
      }
      layer.alone = layer.loaded;
    }
    drawn_.profile.others["seven"] = std::make_shared<const Profile>(other);
  }
  std::int64_t makespan(const DeviceSpec& device) {
    Cluster cluster;
    cluster.devices = {device};
    const Program program = lower(drawn_.workload, cluster, drawn_.profile, drawn_.plan);
    return run(program, cluster, "lrtf").makespan.time_since_epoch().count();
  }
  instances::Shape shape_;
  instances::Case drawn_;
};

TEST_F(DeviceClasses, TakeTheirOwnCostsAtTheirOwnSpeed) {
  DeviceSpec device = instances::devices(1).devices[0];
  const std::int64_t plain = makespan(device);
  device.speed = 0.5;
  EXPECT_EQ(makespan(device), 2 * plain);
  device.costs = "seven";
  EXPECT_EQ(makespan(device), 14 * plain);
  device.speed = 1;
  EXPECT_EQ(makespan(device), 7 * plain);
  device.costs = "eight";
  EXPECT_NE(error_of([&] { makespan(device); }).find("-p eight=FILE"), std::string::npos);
}

TEST_F(DeviceClasses, KeepEveryBoundWhereTheyAreMixed) {
  shape_.jobs = 5;
  for (std::uint64_t seed = 1; seed <= instances::seeds(50); ++seed) {
    drawn_ = instances::draw(shape_, seed);
    Cluster cluster = instances::devices(3);
    cluster.devices[1].speed = 0.25;
    cluster.devices[2].speed = 3;
    const Program program = lower(drawn_.workload, cluster, drawn_.profile, drawn_.plan);
    const Timeline timeline = run(program, cluster, "lrtf");
    expect_valid(timeline, program);
    for (const UnitSpan& span : timeline.units) {
      const Duration own = program.jobs[index(span.job)].units[span.unit].loaded.total;
      const double speed = cluster.devices[index(span.device)].speed;
      EXPECT_NEAR(static_cast<double>((span.to - span.from).count()),
                  static_cast<double>(own.count()) / speed, 0.5);
    }
  }
}

}  // namespace
}  // namespace shardlab
