#include "planning/search.h"

#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "core/error.h"
#include "policies/registry.h"
#include "policies/replay.h"
#include "policies/tuners.h"
#include "sim/costs.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/least_makespan.h"
#include "tests/scenario.h"
#include "tests/timeline_check.h"
#include "traces/plan_file.h"

namespace shardlab {
namespace {

Instant makespan(const Program& program, const Cluster& cluster, const std::string& name) {
  EstimatedCosts costs(program);
  const auto policy = make_policy(name, program, 1);
  return simulate(program, cluster, *policy, costs, nullptr).makespan;
}

SearchedOrder search(const scenarios::Lowered& drawn, std::int64_t evaluations,
                     std::uint64_t seed = 1) {
  return search_order(drawn.program, drawn.cluster, {evaluations, seed, {}}, {});
}

scenarios::Lowered drawn_scenario(std::uint64_t seed) {
  return scenarios::lower(scenarios::draw(seed, "sharp"));
}

TEST(OrderSearch, IsNeverWorseThanSharpNorThanTheOthersItTried) {
  const auto policies = static_cast<std::int64_t>(known_policies().size());
  int shorter = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const scenarios::Lowered drawn = drawn_scenario(seed);
    const SearchedOrder found = search(drawn, policies + 60);
    ASSERT_EQ(Instant{found.summary.sharp}, makespan(drawn.program, drawn.cluster, "sharp"));
    ASSERT_LE(found.makespan(), found.summary.sharp);
    expect_valid(found.timeline, drawn.program);
    for (std::size_t d = 0; d < drawn.cluster.devices.size(); ++d) {
      ASSERT_LE(found.timeline.peak[d], drawn.cluster.devices[d].memory);
    }
    if (found.summary.evaluations < policies) continue;
    Instant best = kNever;
    for (const PolicyInfo& policy : known_policies()) {
      best = std::min(best, makespan(drawn.program, drawn.cluster, std::string(policy.name)));
    }
    ASSERT_LE(Instant{found.makespan()}, best);
    shorter += Instant{found.makespan()} < best ? 1 : 0;
  }
  EXPECT_GT(shorter, static_cast<int>(instances::seeds(300) / 4));
}

TEST(OrderSearch, MakesAPlanThatReplayRunsToItsMakespan) {
  for (std::uint64_t seed = 0; seed < instances::seeds(200); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const scenarios::Lowered drawn = drawn_scenario(seed);
    const SearchedOrder found = search(drawn, 100, seed);
    const Plan plan = replaying({}, found.timeline);
    const auto policy =
        make_policy(plan, drawn.program, drawn.cluster.devices.size(), Replay::Times::kKept);
    EstimatedCosts costs(drawn.program);
    ASSERT_EQ(simulate(drawn.program, drawn.cluster, *policy, costs, nullptr).makespan,
              found.timeline.makespan);
  }
}

// 400 instances of two to four jobs of one to three units on two or three devices: sharp finds the
// optimum of 358, the search of 398.
TEST(OrderSearch, FindsTheOptimumOfSmallInstances) {
  int optimal = 0, sharp = 0;
  constexpr int kInstances = 400;
  for (std::uint64_t seed = 0; seed < kInstances; ++seed) {
    std::mt19937_64 draws(seed);
    instances::Chains jobs(2 + draws() % 3);
    for (auto& job : jobs) {
      job.resize(1 + draws() % 3);
      for (int& time : job) time = 1 + static_cast<int>(draws() % 9);
    }
    const std::size_t devices = 2 + draws() % 2;
    const std::int64_t least = instances::LeastMakespan(jobs, devices).find();
    const SearchedOrder found = search({instances::chains(jobs), instances::devices(devices)}, 300);
    ASSERT_GE(found.makespan().count(), least) << "seed " << seed;
    ASSERT_LE(found.summary.bound.count(), least) << "seed " << seed;
    ASSERT_EQ(found.summary.proved_optimal, found.makespan() == found.summary.bound);
    optimal += found.makespan().count() == least ? 1 : 0;
    sharp += found.summary.sharp.count() == least ? 1 : 0;
  }
  EXPECT_LT(sharp, kInstances * 19 / 20) << "what sharp finds says nothing of the search";
  EXPECT_GE(optimal, kInstances * 99 / 100);
  RecordProperty("optimal", optimal);
  RecordProperty("sharp", sharp);
}

TEST(OrderSearch, SimulatesNoMoreThanItMay) {
  const scenarios::Lowered drawn = drawn_scenario(3);
  for (const std::int64_t evaluations : {1, 5, 50}) {
    std::int64_t heard = 0;
    const SearchedOrder found =
        search_order(drawn.program, drawn.cluster, {evaluations, 1, {}},
                     [&](std::int64_t so_far, Duration) { return heard = so_far, true; });
    EXPECT_LE(found.summary.evaluations, evaluations);
    EXPECT_EQ(found.summary.evaluations, heard);
    EXPECT_TRUE(found.summary.proved_optimal || found.summary.evaluations == evaluations);
  }
}

TEST(OrderSearch, EndsWhenItIsToldWithTheBestSoFar) {
  const scenarios::Lowered drawn = drawn_scenario(3);
  const SearchedOrder found =
      search_order(drawn.program, drawn.cluster, {1000, 1, {}},
                   [](std::int64_t so_far, Duration) { return so_far < 20; });
  EXPECT_EQ(found.summary.evaluations, 20);
  EXPECT_LE(found.makespan(), found.summary.sharp);
}

TEST(OrderSearch, FindsTheSameBytesWithTheSameSeed) {
  std::map<std::string, int> others;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const scenarios::Lowered drawn = drawn_scenario(seed);
    const auto bytes = [&](std::uint64_t of) {
      Plan plan = replaying({}, search(drawn, 150, of).timeline);
      plan.jobs.push_back({Strategy::kSpill, {0}, {}, true});
      return plan_json(plan);
    };
    const std::string once = bytes(1);
    ASSERT_EQ(bytes(1), once) << "seed " << seed;
    ++others[bytes(2) == once ? "same" : "other"];
  }
  EXPECT_GT(others["other"], 10) << "the seed changes nothing";
}

TEST(OrderSearch, GoesOnNoFurtherWhenNothingCanBeShorter) {
  const SearchedOrder found = search({instances::chains({{3}, {3}}), instances::devices(2)}, 1000);
  EXPECT_TRUE(found.summary.proved_optimal);
  EXPECT_EQ(found.summary.evaluations, 1);
}

/// Jobs of 100 minibatches, before it is said when they stop.
Workload stopping(std::size_t jobs) {
  Workload workload;
  workload.jobs.resize(jobs);
  for (Job& job : workload.jobs) job.minibatches = 100;
  return workload;
}

Program hundred_times(const instances::Chains& chains) {
  Program program = instances::chains(chains);
  for (JobProgram& job : program.jobs) job.minibatches = 100;
  return program;
}

// How much runs depends on the order, so nothing is proven: a bound of all minibatches would be
// above whatever is found, and the search over.
TEST(OrderSearch, ProvesNothingWhereATunerStopsJobs) {
  Workload workload = stopping(3);
  workload.jobs[0].stop_after = workload.jobs[1].stop_after = workload.jobs[2].stop_after = 2;
  OrderSearch how{50, 1, [&] { return make_tuner(workload); }};
  const SearchedOrder found =
      search_order(hundred_times({{3}, {2}, {4}}), instances::devices(2), how, {});
  EXPECT_FALSE(found.summary.proved_optimal);
  EXPECT_EQ(found.summary.evaluations, 50);
  EXPECT_LT(found.makespan(), Duration{400});
}

// A of 8 minibatches of 1 ns, B of 2 and C of 2 of 3 ns: at least 10 ns on two devices.
TEST(OrderSearch, EndsAtTheBoundOfWhatRunsWhereJobsStopAfterSoMany) {
  Workload workload = stopping(3);
  workload.jobs[0].stop_after = 8;
  workload.jobs[1].stop_after = workload.jobs[2].stop_after = 2;
  OrderSearch how{1000, 1, [&] { return make_tuner(workload); }, {8, 2, 2}};
  const Program program = hundred_times({{1}, {3}, {3}});
  const SearchedOrder found = search_order(program, instances::devices(2), how, {});
  EXPECT_TRUE(found.summary.proved_optimal);
  EXPECT_EQ(found.makespan(), Duration{10});
  how.runs = {8, 2, 1};  // 7 of work on each, of which A's 8 are one chain.
  const SearchedOrder below = search_order(program, instances::devices(2), how, {});
  EXPECT_FALSE(below.summary.proved_optimal);
  EXPECT_EQ(below.summary.evaluations, 1000);
}

TEST(OrderSearch, KeepsPriorities) {
  Program program = instances::chains({{5, 5, 5}, {1, 1}, {9}, {2, 2}});
  program.jobs[1].priority = 2;
  program.jobs[3].priority = 1;
  const SearchedOrder found = search({program, instances::devices(1)}, 300);
  std::vector<std::uint32_t> order;
  for (const UnitSpan& span : found.timeline.units) order.push_back(index(span.job));
  ASSERT_EQ(order.size(), 8U);
  EXPECT_EQ(std::vector(order.begin(), order.begin() + 4), (std::vector{1U, 1U, 3U, 3U}));
}

}  // namespace
}  // namespace shardlab
