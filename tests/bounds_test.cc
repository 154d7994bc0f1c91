#include "policies/bounds.h"

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/instances.h"

namespace shardlab {
namespace {

TEST(Bounds, WorkIsSharedAndTheLongestJobIsAChain) {
  const Cluster cluster = instances::devices(2);
  const Bounds wide = bounds(instances::chains({{3, 4}, {5}, {1, 2}}), cluster);
  EXPECT_EQ(wide.work, Duration{8});  // 15 / 2, rounded up.
  EXPECT_EQ(wide.longest, Duration{7});
  EXPECT_EQ(wide.greatest(), Duration{8});
  const Bounds narrow = bounds(instances::chains({{9, 4}, {5}}), cluster);
  EXPECT_EQ(narrow.greatest(), Duration{13});
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
  program.jobs.front().items = {{ItemKind::kParameters, 0, 3000, true, kNoDevice},
                                {ItemKind::kActivation, 0, 9000, false, kNoDevice}};
  const LinkSpec link{{}, 1e9};  // A byte per nanosecond.
  EXPECT_EQ(bounds(program, instances::devices(2, kUnlimited, link)).greatest(), Duration{1500});
  EXPECT_EQ(bounds(program, instances::devices(2)).link, Duration{});
}

TEST(NaiveEstimate, IsTheGreaterOfSharedWorkAndLongestJob) {
  EXPECT_EQ(naive_estimate(instances::chains({{3, 4}, {5}, {1, 2}}), instances::devices(2)),
            Duration{8});
  EXPECT_EQ(naive_estimate(instances::chains({{9, 4}, {5}}), instances::devices(2)), Duration{13});
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

}  // namespace
}  // namespace shardlab
