#include "policies/bounds.h"

#include <cstdint>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/scenario.h"

namespace shardlab {
namespace {

TEST(Bounds, WorkIsSharedAndTheLongestJobIsAChain) {
  const Cluster cluster = instances::devices(2);
  const Bounds wide = bounds(instances::chains({{3, 4}, {5}, {1, 2}}), cluster);
  EXPECT_EQ(wide.work, Duration{8});  // 15 / 2, rounded up.
  EXPECT_EQ(wide.chain, Duration{7});
  EXPECT_EQ(wide.binding(), "work");
  EXPECT_EQ(wide.greatest(), Duration{8});
  const Bounds narrow = bounds(instances::chains({{9, 4}, {5}}), cluster);
  EXPECT_EQ(narrow.greatest(), Duration{13});
  EXPECT_EQ(narrow.binding(), "levels");
}

TEST(Bounds, OneJobAtATimeTakesTheSum) {
  Program program = instances::chains({{3, 4}, {5}});
  program.admit = 1;
  EXPECT_EQ(bounds(program, instances::devices(2)).greatest(), Duration{12});
  EXPECT_EQ(naive_estimate(program, instances::devices(2)), Duration{12});
}

TEST(Bounds, WorkBoundToOneDeviceIsNotShared) {
  Program program = instances::chains({{3, 4}, {5}});
  for (JobProgram& job : program.jobs) job.units.front().bound = DeviceId{1};
  EXPECT_EQ(bounds(program, instances::devices(2)).greatest(), Duration{8});
}

TEST(Bounds, ParametersAndStateHaveToCrossTheLinks) {
  Program program = instances::chains({{1}});
  program.jobs.front().units.front().reads.add(0);
  program.jobs.front().items = {{ItemKind::kParameters, 0, 3000, true, kNoDevice},
                                {ItemKind::kActivation, 0, 9000, false, kNoDevice}};
  const LinkSpec link{{}, 1e9};  // A byte per nanosecond.
  EXPECT_EQ(bounds(program, instances::devices(2, kUnlimited, link)).link, Duration{1500});
  EXPECT_EQ(bounds(program, instances::devices(2)).link, Duration{});
}

TEST(Bounds, FewTracksCannotUseAllDevices) {
  // Two classes: the second takes twice as long. For both tracks 1 + 1/2 ns of work in one.
  Program program = instances::chains({{9, 9}, {9}, {1}});
  program.class_of = {0, 1, 1, 1};
  auto& slower = program.times.emplace_back();
  for (const JobProgram& job : program.jobs) {
    auto& units = slower.emplace_back();
    for (const Unit& unit : job.units) {
      units.push_back({{2 * unit.alone.total, {}}, {2 * unit.loaded.total, {}}});
    }
  }
  const Bounds found = bounds(program, instances::devices(4));
  EXPECT_EQ(found.work, Duration{12});    // 28 / 2.5, rounded up.
  EXPECT_EQ(found.levels, Duration{18});  // 18 / 1, 27 / 1.5, 28 / 2.
  EXPECT_EQ(found.binding(), "levels");
}

TEST(Bounds, AfterAnArrivalComesAllThatArrivesThen) {
  Program program = instances::chains({{2}, {6}, {6}, {6}, {6}});
  for (std::size_t j = 1; j < program.jobs.size(); ++j)
    program.jobs[j].arrival = Instant{Duration{100}};
  EXPECT_EQ(bounds(program, instances::devices(2)).work, Duration{112});
}

// It stopped before it ran.
TEST(Bounds, AJobWithNothingToDoNeedNotArrive) {
  Program program = instances::chains({{4}, {6}});
  program.jobs[1].arrival = Instant{Duration{100}};
  program.jobs[1].minibatches = 0;
  EXPECT_EQ(bounds(program, instances::devices(2)).greatest(), Duration{4});
}

TEST(Bounds, JobsThatStayOnADeviceCannotBeSpread) {
  Program program = instances::chains({{6}, {6}, {6}});
  EXPECT_EQ(bounds(program, instances::devices(2)).packing, Duration{});
  for (JobProgram& job : program.jobs) job.resident = true;
  EXPECT_EQ(bounds(program, instances::devices(2)).packing, Duration{12});
}

// Loaded units of two jobs; the last of them may run alone, twice as fast, on one device of two.
TEST(Bounds, WorkIsLoadedWhereNothingPauses) {
  Program program = instances::chains({{10, 10}, {10, 10}});
  for (JobProgram& job : program.jobs) {
    for (Unit& unit : job.units) unit.alone.total = Duration{5};
  }
  EXPECT_EQ(bounds(program, instances::devices(2)).work, Duration{20});
  EXPECT_EQ(bounds(program, instances::devices(2), /*may_pause=*/true).work, Duration{10});
}

TEST(Bounds, AChainGoesThroughTracksAndMinibatches) {
  // Two stages of one microbatch, F and B of 3 ns each: down and up before the next minibatch.
  Program program = instances::chains({{3, 3, 3, 3}});
  JobProgram& job = program.jobs.front();
  job.tracks = {{0, 2}, {2, 2}};  // F0 B0, F1 B1.
  job.units[2].after = {{0, 0}};  // F1 after F0.
  job.units[1].after = {{3, 0}};  // B0 after B1.
  connect(job);
  for (const std::int64_t minibatches : {1, 2, 3, 17, 100'000}) {
    job.minibatches = minibatches;
    EXPECT_EQ(bounds(program, instances::devices(2)).chain, minibatches * Duration{12});
  }
}

TEST(Bounds, AChainBeginsAndEndsWithCopies) {
  Program program = instances::chains({{5}});
  JobProgram& job = program.jobs.front();
  job.items = {{ItemKind::kParameters, 0, 100, true, kNoDevice}};
  job.units.front().reads.add(0);
  const LinkSpec link{Duration{7}, 1e9};
  EXPECT_EQ(bounds(program, instances::devices(2, kUnlimited, link)).chain, Duration{112});
  job.units.front().writes.add(0);
  EXPECT_EQ(bounds(program, instances::devices(2, kUnlimited, link)).chain, Duration{219});
}

TEST(Bounds, WhatMemoryCannotKeepComesAgain) {
  // Two shards of 100 bytes, up and down; three minibatches.
  Program program = instances::chains({{1, 1, 1}});
  JobProgram& job = program.jobs.front();
  job.minibatches = 3;
  job.items = {{ItemKind::kParameters, 0, 100, true, kNoDevice},
               {ItemKind::kParameters, 1, 100, true, kNoDevice}};
  constexpr ItemIndex kShard[] = {0, 1, 0};
  constexpr UnitKind kKind[] = {UnitKind::kForward, UnitKind::kFused, UnitKind::kBackward};
  for (std::size_t u = 0; u < 3; ++u) {
    job.units[u].kind = kKind[u];
    job.units[u].reads.add(kShard[u]);
    if (u > 0) job.units[u].writes.add(kShard[u]);
  }
  const LinkSpec link{{}, 1e9};
  const Bounds roomy = bounds(program, instances::devices(1, 200, link));
  EXPECT_EQ(roomy.link, Duration{400});  // In and back once, by one engine in turn.
  EXPECT_EQ(roomy.traffic, Duration{400});
  // One shard fits: down, the other comes again, and one of two is written back each time.
  const Bounds tight = bounds(program, instances::devices(1, 100, link));
  EXPECT_EQ(tight.link, Duration{400});
  EXPECT_EQ(tight.traffic, Duration{800});
}

/// Spilled jobs of so many shards, of 100 bytes each and units of 100 ns, on four devices with room
/// for one shard and a shared link that passes one in 100 ns.
Program spilled(std::size_t jobs, std::size_t shards) {
  const std::size_t units = 2 * shards - 1;
  Program program =
      instances::chains(std::vector<std::vector<int>>(jobs, std::vector<int>(units, 100)));
  for (JobProgram& job : program.jobs) {
    for (std::size_t s = 0; s < shards; ++s) {
      job.items.push_back({ItemKind::kParameters, static_cast<int>(s), 100, true, kNoDevice});
    }
    for (std::size_t u = 0; u < units; ++u) {
      job.units[u].kind = u + 1 < shards    ? UnitKind::kForward
                          : u + 1 == shards ? UnitKind::kFused
                                            : UnitKind::kBackward;
      job.units[u].reads.add(static_cast<ItemIndex>(std::min(u, units - 1 - u)));
    }
  }
  return program;
}

Cluster below_one_link() {
  Cluster cluster = instances::devices(4, 100, {{}, 1e9}, 2);
  cluster.switches.push_back({"host", 1e9});
  for (DeviceSpec& device : cluster.devices) device.parent = 0;
  return cluster;
}

// Sixteen jobs of four shards read 7 shards each, 112 in all, of which none can stay without room.
// While units compute they take 112 of shards x units, all that there is in 28 units of time. In 32
// there is room for what is read again after one unit (16 shards), in 44 after three (32), in 64
// after five (48). By then the other 64 have come.
TEST(Bounds, WhatTimeTimesMemoryCannotKeepComesAgain) {
  Program program = spilled(16, 4);
  EXPECT_EQ(bounds(program, below_one_link()).work, Duration{2800});
  EXPECT_EQ(bounds(program, below_one_link()).traffic, Duration{6400});
  // Once more: after two and four units, at most, what the minibatch before has read.
  for (JobProgram& job : program.jobs) job.minibatches = 2;
  // 224, of which 16 are read twice in turn. Units fill memory until 56; 32 that stay for one unit
  // do until 64, 16 for two (from one minibatch to the next) until 72, 32 for three until 96, and
  // 16 for four until 112, when the other 112 have come.
  EXPECT_EQ(bounds(program, below_one_link()).traffic, Duration{11200});
  Cluster joined = below_one_link();
  for (DeviceSpec& device : joined.devices) device.peer = LinkSpec{};
  EXPECT_LT(bounds(program, joined).traffic, Duration{11200});  // From each other, then.
}

TEST(Bounds, NoSimulationIsFasterWhereASharedLinkBinds) {
  int bound = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(60); ++seed) {
    for (const PolicyInfo& policy : known_policies()) {
      auto drawn = instances::draw({.jobs = 12, .shards = 5, .minibatches = 3, .slots = 2}, seed);
      if (seed % 2 == 0) drawn.plan.slots = 1;
      Cluster cluster = instances::devices(3, kUnlimited, {{}, 3.5e8}, static_cast<int>(seed % 3));
      cluster.switches.push_back({"host", seed % 4 == 0 ? 6e8 : 3.5e8});
      for (DeviceSpec& device : cluster.devices) device.parent = 0;
      const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
      for (DeviceSpec& device : cluster.devices) device.memory = instances::tight_budget(program);
      EstimatedCosts costs(program);
      const auto chosen = make_policy(std::string(policy.name), program.jobs.size(), seed);
      const Outcome outcome = simulate(program, cluster, *chosen, costs, nullptr);
      const Bounds found = bounds(program, cluster);
      ASSERT_GE(outcome.makespan.time_since_epoch(), found.greatest())
          << policy.name << ", seed " << seed << ": " << found.binding();
      bound += found.binding() == "traffic" ? 1 : 0;
    }
  }
  EXPECT_GT(bound, 100);
}

TEST(Bounds, ASwitchLimitsWhatPassesIt) {
  Program program = instances::chains({{1}});
  program.jobs.front().items = {{ItemKind::kParameters, 0, 3000, true, kNoDevice}};
  program.jobs.front().units.front().reads.add(0);
  Cluster cluster = instances::devices(2, kUnlimited, {{}, 1e9});
  cluster.switches.push_back({"pcie", 1e9});
  for (DeviceSpec& device : cluster.devices) device.parent = 0;
  EXPECT_EQ(bounds(program, cluster).link, Duration{3000});
}

// The estimate knows no links: what replicas take to add up their gradients is not in it.
TEST(NaiveEstimate, CountsWhatComputes) {
  Program program = instances::chains({{3, 40, 4}, {5}});
  program.jobs.front().units[1].kind = UnitKind::kReduce;
  EXPECT_EQ(naive_estimate(program, instances::devices(2)), Duration{7});
  program.admit = 1;
  EXPECT_EQ(naive_estimate(program, instances::devices(2)), Duration{12});
}

TEST(NaiveEstimate, IsTheGreaterOfSharedWorkAndLongestJob) {
  EXPECT_EQ(naive_estimate(instances::chains({{3, 4}, {5}, {1, 2}}), instances::devices(2)),
            Duration{8});
  EXPECT_EQ(naive_estimate(instances::chains({{9, 4}, {5}}), instances::devices(2)), Duration{13});
}

// Two replicas read the same parameters; the disk has them once, and passes them once.
TEST(Bounds, WhatReplicasReadIsOnTheDiskOnce) {
  scenarios::Scenario scenario;
  scenario.spare = {-1, -1};
  scenario.engines = 2;
  scenario.link = scenario.back = {0, 1};
  scenario.host = 0;
  scenario.read = {0, 100};
  scenarios::ScenarioJob job;
  job.strategy = Strategy::kZeroOffload;
  job.replicas = 2;
  job.bound = {0, 1};
  job.shards.resize(3);
  for (scenarios::Shard& shard : job.shards) shard.parameters = 30;
  scenario.jobs = {job};
  const scenarios::Lowered lowered = scenarios::lower(scenario);
  Bytes lasting = 0;
  for (const Item& item : lowered.program.jobs.front().items) {
    lasting += item.lasting ? item.bytes : 0;
  }
  EXPECT_EQ(bounds(lowered.program, lowered.cluster).disk,
            100 * Duration{lasting - lowered.cluster.host_memory});
}

// Every policy, two layouts, paced links, memory too small for all: no simulation ends before the
// bound.
TEST(Bounds, NoSimulationIsFaster) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    for (const PolicyInfo& policy : known_policies()) {
      auto drawn = instances::draw({.jobs = 5, .shards = 3, .minibatches = 2, .slots = 2}, seed);
      const Cluster cluster = instances::devices(2, 400, {Duration{1}, 4e9}, 0);
      if (seed % 3 == 1) drawn.plan.admit = 1;
      if (seed % 3 == 2) {
        for (JobPlan& job : drawn.plan.jobs) {
          job.strategy = Strategy::kModelParallel;
          job.device = {DeviceId{0}, DeviceId{1}, DeviceId{1}};
        }
      }
      const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
      EstimatedCosts costs(program);
      const auto chosen = make_policy(std::string(policy.name), program.jobs.size(), seed);
      const Outcome outcome = simulate(program, cluster, *chosen, costs, nullptr);
      ASSERT_GE(outcome.makespan.time_since_epoch(), bounds(program, cluster).greatest())
          << policy.name << ", seed " << seed;
    }
  }
}

/// Devices of two classes, a switch above them, units slowed by copies: nothing that makes a run
/// shorter than it was.
void complicate(scenarios::Lowered& drawn, std::uint64_t seed) {
  std::mt19937_64 draws(seed);
  const auto below = [&](std::uint64_t most) { return static_cast<int>(draws() % most); };
  Program& program = drawn.program;
  if (below(2) == 0) {
    auto& times = program.times.emplace_back();
    for (const JobProgram& job : program.jobs) {
      auto& units = times.emplace_back();
      for (const Unit& unit : job.units) {
        const int percent = 30 + below(200);
        units.push_back(
            {{unit.alone.total * percent / 100, {}}, {unit.loaded.total * percent / 100, {}}});
      }
    }
    for (std::size_t d = 0; d < drawn.cluster.devices.size(); ++d) {
      program.class_of.push_back(static_cast<std::uint16_t>(below(2)));
    }
  }
  const bool paced = drawn.cluster.devices.front().paced();
  if (paced && below(3) == 0) {
    drawn.cluster.switches.push_back({"switch", 1e9 / (1 + below(3)), 0, below(2) * 1e9});
    for (DeviceSpec& device : drawn.cluster.devices)
      device.parent = below(4) - 1 < 0 ? kNoSwitch : 0;
  }
  for (DeviceSpec& device : drawn.cluster.devices) {
    if (device.copy_engines > 0 && below(3) == 0) device.slow_down_promote = 1 + 0.1 * below(9);
  }
}

// What was bound to a device that leaves goes on elsewhere, so nothing counts as bound.
TEST(Bounds, BoundWorkIsSharedWhereADeviceLeaves) {
  Program program = instances::chains({{6}, {6}, {6}});
  for (JobProgram& job : program.jobs) job.units.front().bound = DeviceId{1};
  Cluster cluster = instances::devices(2);
  EXPECT_EQ(bounds(program, cluster).greatest(), Duration{18});
  cluster.devices[1].leaves = {Instant{Duration{1}}};
  EXPECT_EQ(bounds(program, cluster).greatest(), Duration{9});
  for (JobProgram& job : program.jobs) job.resident = true;
  EXPECT_EQ(bounds(program, cluster).packing, Duration{});
}

TEST(Bounds, NoSimulationIsFasterThoughDevicesLeaveAndComeBack) {
  int lost = 0, whole = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(3000); ++seed) {
    const auto policies = known_policies();
    const std::string name(policies[seed % policies.size()].name);
    scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, name));
    complicate(drawn, seed);
    scenarios::draw_absences(seed, true, drawn.cluster);
    if (seed % 3 == 0) drawn.program.checkpoints.minibatches = 1;
    const Program program = drawn.program;
    EstimatedCosts costs(drawn.program);
    const auto policy = make_policy(name, drawn.program, 1);
    const Outcome outcome = simulate(drawn.program, drawn.cluster, *policy, costs, nullptr);
    const Bounds found = bounds(that_ran(program, outcome), drawn.cluster);
    ASSERT_GE(outcome.makespan.time_since_epoch(), found.greatest())
        << found.binding() << ", " << name << ", seed " << seed;
    lost += outcome.devices_lost;
    whole += std::ranges::all_of(outcome.jobs, &JobEnd::completed) ? 1 : 0;
  }
  EXPECT_GT(lost, 1000);
  EXPECT_GT(whole, 1000);
}

class RandomScenarios : public testing::TestWithParam<const char*> {};

TEST_P(RandomScenarios, NeverEndBeforeABound) {
  for (std::uint64_t seed = 0; seed < instances::seeds(800); ++seed) {
    scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, GetParam()));
    complicate(drawn, seed);
    EstimatedCosts costs(drawn.program);
    const auto policy = make_policy(GetParam(), track_count(drawn.program), 1);
    const Outcome outcome = simulate(drawn.program, drawn.cluster, *policy, costs, nullptr);
    const Duration took = outcome.makespan.time_since_epoch();
    const Bounds found = bounds(drawn.program, drawn.cluster);
    ASSERT_GE(took, found.greatest()) << found.binding() << ", seed " << seed;
  }
}

TEST_P(RandomScenarios, NeverEndBeforeABoundAboveADisk) {
  int bound = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(800); ++seed) {
    scenarios::Scenario scenario = scenarios::draw_with_disk(seed, GetParam());
    // Slow enough to bind, and often with room for little more than one item.
    scenario.read.per_byte += 10 * static_cast<std::int64_t>(seed % 5);
    scenarios::Lowered drawn = scenarios::lower(scenario);
    EstimatedCosts costs(drawn.program);
    const auto policy = make_policy(GetParam(), track_count(drawn.program), 1);
    const Outcome outcome = simulate(drawn.program, drawn.cluster, *policy, costs, nullptr);
    const Bounds found = bounds(drawn.program, drawn.cluster);
    ASSERT_GE(outcome.makespan.time_since_epoch(), found.greatest())
        << found.binding() << ", seed " << seed << "\n"
        << scenarios::to_string(scenario);
    bound += found.binding() == "disk" ? 1 : 0;
  }
  EXPECT_GT(bound, 50);
}

INSTANTIATE_TEST_SUITE_P(All, RandomScenarios, testing::ValuesIn(instances::kListPolicies),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace shardlab
