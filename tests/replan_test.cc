#include "planning/replan.h"

#include <gtest/gtest.h>

#include "tests/instances.h"
#include "tests/planned_jobs.h"

namespace shardlab {
namespace {

using planned_jobs::cluster_of;
using planned_jobs::gpt;
using planned_jobs::profile_of;

/// Four jobs on four devices, of which two stop after a quarter.
Workload half_of_them_stop() {
  Workload workload{{gpt("a", 40), gpt("b", 40), gpt("c", 40), gpt("d", 40)}};
  workload.jobs[1].stop_after = 10;
  workload.jobs[3].stop_after = 10;
  return workload;
}

TEST(Replan, ThoseThatAreLeftTakeTheDevicesOfThoseThatStopped) {
  const Workload workload = half_of_them_stop();
  const Cluster cluster = cluster_of(4);
  const Profile profile = profile_of(workload.jobs);
  const Replanned found = plan_with_stops(workload, cluster, profile, {.evaluations = 40}, {});
  ASSERT_EQ(found.phases.size(), 2U);
  EXPECT_EQ(found.phases[0].stopped, (std::vector<std::size_t>{1, 3}));
  EXPECT_EQ(found.phases[1].jobs, (std::vector<std::size_t>{0, 2}));
  EXPECT_LT(found.predicted, found.unchanged * 5 / 6);
  for (const JobOption& each : found.phases[1].joint.chosen) EXPECT_EQ(each.devices, 2);
}

TEST(Replan, WhatRemainsIsWhatWasNotDone) {
  const Workload workload = half_of_them_stop();
  const Cluster cluster = cluster_of(4);
  const Profile profile = profile_of(workload.jobs);
  const Replanned found = plan_with_stops(workload, cluster, profile, {.evaluations = 40}, {});
  ASSERT_EQ(found.phases.size(), 2U);
  EXPECT_EQ(found.phases[1].from, found.phases[0].to);
  EXPECT_EQ(found.predicted, found.phases[1].to);
  for (const Job& job : found.phases[1].workload.jobs) {
    EXPECT_LE(job.minibatches, 31);
    EXPECT_GE(job.minibatches, 28);
    EXPECT_EQ(job.stop_after, 0);
  }
}

// On links that make moving a job dear, and with stops at any time.
TEST(Replan, NeverEndsLaterThanTheRunThatGoesOn) {
  int planned_anew = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(40); ++seed) {
    instances::Draw draw(seed);
    Workload workload;
    const int jobs = 2 + draw(4);
    for (int j = 0; j < jobs; ++j) {
      workload.jobs.push_back(gpt(std::string(1, static_cast<char>('a' + j)), 10 + draw(40)));
      if (draw(2) == 0) workload.jobs.back().stop_after = 1 + draw(4);
    }
    workload.jobs.front().stop_after = 1;
    Cluster cluster = cluster_of(2 + draw.below(4));
    const double rate = std::vector<double>{1e9, 1e10, 1e11}[draw.below(3)];
    for (DeviceSpec& device : cluster.devices) device.link = {Duration{10'000}, rate};
    const Replanned found = plan_with_stops(workload, cluster, profile_of(workload.jobs),
                                            {.seed = seed, .evaluations = 20}, {});
    ASSERT_LE(found.predicted, found.unchanged) << "seed " << seed;
    planned_anew += found.phases.size() > 1 ? 1 : 0;
  }
  EXPECT_GT(planned_anew, 0);
}

TEST(Replan, NobodyStopsNothingChanges) {
  const Workload workload{{gpt("a", 5), gpt("b", 5)}};
  const Replanned found =
      plan_with_stops(workload, cluster_of(2), profile_of(workload.jobs), {.evaluations = 20}, {});
  EXPECT_EQ(found.phases.size(), 1U);
  EXPECT_EQ(found.predicted, found.unchanged);
}

TEST(Replan, ATunersVerdictsAreTakenFromItsRun) {
  Workload workload{{gpt("a", 27), gpt("b", 27), gpt("c", 27), gpt("d", 27)}};
  EarlyStop& halving = workload.early_stop.emplace();
  halving.method = StopMethod::kSuccessiveHalving;
  halving.eta = 2;
  halving.least = 3;
  halving.most = 27;
  const Cluster cluster = cluster_of(4);
  const Profile profile = profile_of(workload.jobs);
  const Replanned found = plan_with_stops(workload, cluster, profile, {.evaluations = 40}, {});
  EXPECT_GE(found.phases.size(), 2U);
  EXPECT_EQ(found.phases[0].stopped.size(), 2U) << "one in two goes on";
  EXPECT_LE(found.predicted, found.unchanged);
}

}  // namespace
}  // namespace shardlab
