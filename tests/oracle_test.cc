#include <algorithm>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/least_makespan.h"

/// Cases whose exact answer is known, and bounds that are proven or were never broken. Sources: the
/// names in the comments. What is known of schedules, and the test that holds it:
///
///   exact: LRTF on unit tasks (Hu)       Oracle.LrtfIsOptimalForUnitTasks
///   one device, without a buffer, with   Oracle.OneDevice..., ADevicesOwnBufferSlots...
///   no more jobs than devices            Oracle.NoMoreJobsThanDevices...
///   GPipe and 1F1B: time, bubble, live   PipelineOracle.* (pipeline_oracle_test.cc)
///   M/M/1, M/M/c (Erlang C)              Queueing.* (queueing_test.cc)
///   LRTF's conjectured bound, and tight  Oracle.LrtfMeets..., LrtfStaysWithin...
///   list policies <= (2 - 1/P) optimum   Oracle.EveryPolicyIsWithinGrahamsFactor...
///   lower bounds are below every run     Bounds.*, RandomScenarios.* (bounds_test.cc)
///   costs times 2^k: the same bytes      EveryPolicy.ScalesWith... (metamorphic_test.cc)
///   equal jobs permuted                  Metamorphic.JobsMayBePermuted...
///   infinite bandwidth is no transfer    EveryPolicy.TakesCopiesThatTakeNoTimeForNone
///   1 and 2 threads: the same bytes      EveryPolicy.GivesTheSameBytes...
///   both compilers: the same bytes       Metamorphic.GivesTheSameBytes...
///   a round's order, ties, double buffer Reference.* (reference_test.cc), Driver.*
///   never asserted: one device more, a   Anomaly.*, which hold examples of the opposite
///   shorter unit, one job less is better
///
/// A leap over repeated minibatches against the whole run has no test: the simulator makes none.
namespace shardlab {
namespace {

using instances::Chains;

std::int64_t makespan(const Program& program, const Cluster& cluster, const std::string& policy) {
  EstimatedCosts costs(program);
  const auto chosen = make_policy(policy, track_count(program), 1);
  return simulate(program, cluster, *chosen, costs, nullptr).makespan.time_since_epoch().count();
}

std::int64_t makespan(const Chains& jobs, std::size_t devices, const std::string& policy) {
  return makespan(instances::chains(jobs), instances::devices(devices), policy);
}

struct Drawn {
  Chains jobs;
  std::size_t devices = 0;
  std::int64_t sum = 0, longest_job = 0, longest_unit = 0;
};

Drawn draw_chains(std::uint64_t seed, int most_jobs, int most_units, int longest_unit) {
  std::mt19937_64 generator(seed);
  const auto upto = [&](int most) {
    return 1 + static_cast<int>(generator() % static_cast<std::uint64_t>(most));
  };
  Drawn drawn;
  drawn.devices = static_cast<std::size_t>(upto(5));
  drawn.jobs.resize(static_cast<std::size_t>(upto(most_jobs)));
  for (auto& job : drawn.jobs) {
    job.resize(static_cast<std::size_t>(upto(most_units)));
    for (int& time : job) time = upto(longest_unit);
    const std::int64_t sum = std::accumulate(job.begin(), job.end(), std::int64_t{0});
    drawn.sum += sum;
    drawn.longest_job = std::max(drawn.longest_job, sum);
    drawn.longest_unit = std::max<std::int64_t>(drawn.longest_unit, *std::ranges::max_element(job));
  }
  return drawn;
}

// Hu, "Parallel sequencing and assembly line problems" (1961).
TEST(Oracle, LrtfIsOptimalForUnitTasks) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Drawn drawn = draw_chains(seed, 9, 12, 1);
    const auto devices = static_cast<std::int64_t>(drawn.devices);
    ASSERT_EQ(makespan(drawn.jobs, drawn.devices, "lrtf"),
              std::max(drawn.longest_job, (drawn.sum + devices - 1) / devices))
        << "seed " << seed;
  }
}

// Late binding: a job that is ready finds a free device at once.
TEST(Oracle, NoMoreJobsThanDevicesTakeAsLongAsTheLongestJobUnderEveryPolicy) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Drawn drawn = draw_chains(seed, 6, 8, 20);
    for (const std::string& policy : instances::work_conserving()) {
      ASSERT_EQ(makespan(drawn.jobs, drawn.jobs.size() + seed % 2, policy), drawn.longest_job)
          << policy << ", seed " << seed;
    }
  }
}

// The gap is (1 - 1/P) * 8 = 4 above the bound 18 = ceil(36 / 2).
TEST(Oracle, LrtfMeetsItsConjecturedBoundExactly) {
  EXPECT_EQ(makespan({{6, 8}, {2, 8}, {4, 7, 1}}, 2, "lrtf"), 22);
}

// Conjectured only, but 960 000 instances did not break it: LRTF <= LB + (1 - 1/P) * longest unit.
TEST(Oracle, LrtfStaysWithinItsConjecturedBound) {
  for (std::uint64_t seed = 0; seed < instances::seeds(3000); ++seed) {
    const Drawn drawn = draw_chains(seed, 8, 5, seed % 2 == 0 ? 9 : 1000);
    const auto devices = static_cast<std::int64_t>(drawn.devices);
    const std::int64_t bound = std::max(drawn.sum, devices * drawn.longest_job);
    ASSERT_LE(devices * makespan(drawn.jobs, drawn.devices, "lrtf"),
              bound + (devices - 1) * drawn.longest_unit)
        << "seed " << seed;
  }
}

// Graham, "Bounds on multiprocessing timing anomalies" (1969): none leaves a device idle while a
// unit is ready.
TEST(Oracle, EveryPolicyIsWithinGrahamsFactorOfTheOptimum) {
  std::int64_t worse = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
    Drawn drawn = draw_chains(seed, 4, 2, 9);
    drawn.devices = 2 + seed % 2;
    const std::int64_t least = instances::LeastMakespan(drawn.jobs, drawn.devices).find();
    const auto devices = static_cast<std::int64_t>(drawn.devices);
    for (const std::string& policy : instances::work_conserving()) {
      const std::int64_t found = makespan(drawn.jobs, drawn.devices, policy);
      ASSERT_GE(found, least) << policy << ", seed " << seed;
      ASSERT_LE(devices * found, (2 * devices - 1) * least) << policy << ", seed " << seed;
      if (found > least) ++worse;
    }
  }
  EXPECT_GT(worse, 20) << "an optimum that every policy reaches says nothing";
}

// One device, each job a unit that only reads what it must load first.

struct Loaded {
  Program program;
  Cluster cluster;
  std::vector<std::int64_t> load, compute;
};

Loaded draw_loaded(std::uint64_t seed, int slots) {
  std::mt19937_64 generator(seed);
  Loaded drawn;
  drawn.program.slots = slots;
  drawn.cluster = instances::devices(1, 0, {Duration{3}, 5e8}, static_cast<int>(1 + seed % 2));
  for (std::size_t j = 0; j < 1 + seed % 7; ++j) {
    const auto bytes = static_cast<Bytes>(1 + generator() % 20);
    drawn.load.push_back(3 + 2 * bytes);
    drawn.compute.push_back(static_cast<std::int64_t>(1 + generator() % 60));
    JobProgram job;
    job.minibatches = 1;
    job.items = {{ItemKind::kParameters, 0, bytes, true, kNoDevice}};
    Unit unit;
    unit.alone = unit.loaded = {Duration{drawn.compute.back()}, {}};
    unit.reads.add(0);
    job.units = {unit};
    expect(job, false);
    drawn.program.jobs.push_back(job);
  }
  drawn.cluster.devices[0].memory = instances::tight_budget(drawn.program);
  return drawn;
}

TEST(Oracle, OneDeviceWithoutABufferLoadsAndComputesInTurn) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Loaded drawn = draw_loaded(seed, 1);
    const std::int64_t sum = std::accumulate(drawn.load.begin(), drawn.load.end(), std::int64_t{0});
    for (const char* policy : instances::kListPolicies) {
      ASSERT_EQ(makespan(drawn.program, drawn.cluster, policy),
                std::accumulate(drawn.compute.begin(), drawn.compute.end(), sum))
          << policy << ", seed " << seed;
    }
  }
}

// x1 + sum of max(p_i, x_(i+1)) + p_n: a load begins when the unit before it starts.
TEST(Oracle, OneDeviceWithABufferLoadsBesideComputing) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Loaded drawn = draw_loaded(seed, 2);
    std::int64_t expected = drawn.load.front() + drawn.compute.back();
    for (std::size_t j = 0; j + 1 < drawn.load.size(); ++j) {
      expected += std::max(drawn.compute[j], drawn.load[j + 1]);
    }
    ASSERT_EQ(makespan(drawn.program, drawn.cluster, "fifo"), expected) << "seed " << seed;
  }
}

// What a device says itself holds, whatever the plan says of all.
TEST(Oracle, ADevicesOwnBufferSlotsDecideWhetherItLoadsBesideComputing) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const auto with = [&](int of_plan, std::optional<int> own) {
      Loaded drawn = draw_loaded(seed, of_plan);
      drawn.cluster.devices[0].memory = kUnlimited;
      drawn.cluster.devices[0].buffer_slots = own;
      return makespan(drawn.program, drawn.cluster, "fifo");
    };
    const std::int64_t none = with(1, std::nullopt), one = with(2, std::nullopt);
    ASSERT_EQ(with(2, 0), none) << "seed " << seed;
    ASSERT_EQ(with(64, 0), none) << "seed " << seed;
    ASSERT_EQ(with(1, 1), one) << "seed " << seed;
    ASSERT_EQ(with(64, 1), one) << "seed " << seed;
    ASSERT_EQ(with(1, 63), with(64, std::nullopt)) << "seed " << seed;
    if (seed % 7 > 2) {
      ASSERT_LT(one, none) << "seed " << seed;
    }
  }
}

// Anomalies. That more devices, shorter units or fewer jobs never hurt is false for every policy
// that always runs something; who makes these numbers "right" has broken the policy.

TEST(Anomaly, OneDeviceMoreTakesLonger) {
  const Chains jobs{{5, 4}, {1, 2, 4, 1}, {5, 6, 1, 4}, {2, 6}, {2, 6}};
  EXPECT_EQ(makespan(jobs, 3, "fifo"), 18);
  EXPECT_EQ(makespan(jobs, 4, "fifo"), 20);
}

TEST(Anomaly, AShorterUnitTakesLonger) {
  EXPECT_EQ(makespan({{2, 3}, {1, 5}, {4}}, 2, "fifo"), 8);
  EXPECT_EQ(makespan({{1, 3}, {1, 5}, {4}}, 2, "fifo"), 9);
  EXPECT_EQ(makespan({{3}, {3}, {2, 2}}, 2, "lrtf"), 5);
  EXPECT_EQ(makespan({{3}, {3}, {1, 2}}, 2, "lrtf"), 6);
}

TEST(Anomaly, OneJobLessTakesLonger) {
  EXPECT_EQ(makespan({{1}, {3, 3}, {2, 1}, {2}}, 2, "fifo"), 6);
  EXPECT_EQ(makespan({{3, 3}, {2, 1}, {2}}, 2, "fifo"), 7);
}

}  // namespace
}  // namespace shardlab
