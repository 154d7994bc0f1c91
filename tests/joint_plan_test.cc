#include "planning/joint_plan.h"

#include <algorithm>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "core/error.h"
#include "planning/list_schedule.h"
#include "policies/planner.h"
#include "tests/error_of.h"
#include "tests/planned_jobs.h"

namespace shardlab {
namespace {

using planned_jobs::cluster_of;
using planned_jobs::gpt;
using planned_jobs::profile_of;

JobOption option(int devices, int time) {
  JobOption made;
  made.devices = devices;
  made.alone = Duration{time};
  return made;
}

TEST(ListSchedule, LongestGoesFirstToTheGroupThatIsFreeFirst) {
  // Two devices: a takes both for 4, b and c one each for 3 and 2.
  const OptionsPerJob options{{option(2, 4)}, {option(1, 3)}, {option(1, 2)}};
  const ListSchedule made = list_schedule(options, {0, 0, 0}, 2);
  EXPECT_EQ(made.makespan, Duration{7});
  EXPECT_EQ(made.assignment.group, (std::vector<int>{0, 0, 1}));
}

TEST(ListSchedule, WhatSpillsFillsTheRest) {
  const OptionsPerJob options{{option(1, 6)}, {option(0, 4)}};
  EXPECT_EQ(list_schedule(options, {0, 0}, 2).makespan, Duration{6});
  const OptionsPerJob longer{{option(1, 6)}, {option(0, 8)}};
  EXPECT_EQ(list_schedule(longer, {0, 0}, 2).makespan, Duration{8});
}

TEST(ListSchedule, BranchAndBoundFindsWhatAllChoicesHave) {
  const OptionsPerJob options{{option(0, 9), option(1, 8), option(2, 5), option(4, 3)},
                              {option(1, 6), option(2, 4)},
                              {option(1, 7), option(2, 4), option(4, 3)},
                              {option(0, 5), option(1, 5), option(4, 2)}};
  Duration best = Duration::max();
  std::vector<std::size_t> chosen(4);
  for (chosen[0] = 0; chosen[0] < 4; ++chosen[0]) {
    for (chosen[1] = 0; chosen[1] < 2; ++chosen[1]) {
      for (chosen[2] = 0; chosen[2] < 3; ++chosen[2]) {
        for (chosen[3] = 0; chosen[3] < 3; ++chosen[3]) {
          best = std::min(best, list_schedule(options, chosen, 4).makespan);
        }
      }
    }
  }
  const auto found = best_schedules(options, 4, 3, 100'000);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found.front().makespan, best);
  EXPECT_LE(found[0].makespan, found[1].makespan);
  EXPECT_FALSE(best_schedules(options, 4, 3, 6).empty()) << "few nodes still give a plan";
}

TEST(JobOptions, MoreDevicesAreOptionsOnlyWhereTheyAreFaster) {
  const Job job = gpt("a");
  const auto options = job_options(job, cluster_of(4), profile_of({job}), 2);
  ASSERT_GE(options.size(), 4U);
  EXPECT_EQ(options[0].devices, 0);
  Duration before = Duration::max();
  for (std::size_t i = 1; i < options.size(); ++i) {
    if (options[i].devices > options[i - 1].devices) {
      EXPECT_LT(options[i].alone, before) << to_string(options[i]);
      before = options[i].alone;
    }
  }
}

/// Of two devices of so much memory; none where the job cannot run on them, or faster on one.
std::optional<JobOption> on_two(const Job& job, const Profile& profile, Bytes memory) {
  try {
    for (const JobOption& each : job_options(job, cluster_of(2, memory), profile, 2)) {
      if (each.devices == 2) return each;
    }
  } catch (const Error&) {
  }
  return std::nullopt;
}

TEST(JobOptions, GraphsAreKeptOfAsManyShardsAsFit) {
  const Job job = gpt("a");
  const Profile profile = profile_of({job});
  int mixed = 0;
  Bytes memory = Bytes{1} << 36;
  for (auto option = on_two(job, profile, memory); option;
       memory -= memory / 64, option = on_two(job, profile, memory)) {
    if (option->recompute_shard.empty()) {
      EXPECT_EQ(option->recompute, mixed > 0) << "all keep with more memory, none with less";
      continue;
    }
    ++mixed;
    EXPECT_EQ(std::ranges::count(option->recompute_shard, false), 1);
    EXPECT_NE(to_string(*option).find("/recompute 1 of 2 shards"), std::string::npos);
    const JobPlan plan = lay_out(job, cluster_of(2, memory), profile, *option, 0, 2);
    EXPECT_EQ(plan.recompute_shard, option->recompute_shard);
  }
  EXPECT_GT(mixed, 0);
}

TEST(JobOptions, MicrobatchesThatNobodyMeasuredAreNone) {
  const Job job = gpt("a");
  for (const JobOption& each : job_options(job, cluster_of(4), profile_of({job}, false), 2)) {
    EXPECT_LE(each.devices, 1) << to_string(each);
  }
}

TEST(JobOptions, SaysWhyAJobCannotRunAtAll) {
  const Job job = gpt("a");
  const std::string error =
      error_of([&] { job_options(job, cluster_of(2, 1 << 20), profile_of({job}), 2); });
  EXPECT_NE(error.find("a: "), std::string::npos) << error;
  EXPECT_NE(error.find("needs"), std::string::npos) << error;
}

struct Planned {
  JointPlan found;
  Duration best_usual = Duration::max();
};

Planned planned(const std::vector<Job>& jobs, const Cluster& cluster, const Profile& profile,
                const JointSearch& search = {.evaluations = 60}) {
  Evaluator evaluator({jobs}, cluster, profile);
  Planned made{plan_jointly(evaluator, search, {})};
  for (const PlannedChoice& usual : make_plans({jobs}, cluster, profile, usual_choices())) {
    if (!usual.plan) continue;
    made.best_usual = std::min(made.best_usual, *evaluator.whole_makespan(*usual.plan));
  }
  return made;
}

TEST(JointPlan, FewerJobsThanDevicesTakeAllOfThem) {
  const std::vector<Job> jobs{gpt("a"), gpt("b")};
  const Planned made = planned(jobs, cluster_of(4), profile_of(jobs));
  EXPECT_LT(made.found.predicted, made.best_usual * 3 / 4);
  ASSERT_EQ(made.found.chosen.size(), 2U);
  for (const JobOption& each : made.found.chosen) EXPECT_EQ(each.devices, 2) << to_string(each);
}

TEST(JointPlan, IsNeverSlowerThanTheUsualPlans) {
  for (const int devices : {1, 2, 4}) {
    for (const Bytes memory : {kUnlimited, Bytes{300} << 20}) {
      const std::vector<Job> jobs{gpt("a", 4), gpt("b", 8, 4), gpt("c", 2, 12)};
      const Planned made = planned(jobs, cluster_of(devices, memory), profile_of(jobs));
      EXPECT_LE(made.found.predicted, made.best_usual) << devices << " devices, " << memory;
    }
  }
}

TEST(JointPlan, SameSeedAndEvaluationsGiveTheSamePlan) {
  const std::vector<Job> jobs{gpt("a", 4), gpt("b", 8, 4), gpt("c", 5, 12)};
  const Cluster cluster = cluster_of(4);
  const Profile profile = profile_of(jobs);
  const JointPlan a = planned(jobs, cluster, profile).found,
                  b = planned(jobs, cluster, profile).found;
  EXPECT_EQ(a.predicted, b.predicted);
  EXPECT_EQ(a.evaluations, b.evaluations);
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    EXPECT_EQ(a.plan.jobs[j].device, b.plan.jobs[j].device);
    EXPECT_EQ(a.plan.jobs[j].first_layer, b.plan.jobs[j].first_layer);
  }
}

TEST(JointPlan, EndsWhenItIsToldTo) {
  const std::vector<Job> jobs{gpt("a"), gpt("b", 4, 4)};
  const Cluster cluster = cluster_of(4);
  const Profile profile = profile_of(jobs);
  Evaluator evaluator({jobs}, cluster, profile);
  int asked = 0;
  const JointPlan made =
      plan_jointly(evaluator, {}, [&](std::int64_t, Duration) { return ++asked < 3; });
  EXPECT_EQ(asked, 3);
  EXPECT_TRUE(made.ended_early);
  EXPECT_EQ(made.plan.jobs.size(), 2U);
}

TEST(Evaluator, ShortenedTimesAreNearTheWholeOnes) {
  const std::vector<Job> jobs{gpt("a", 300), gpt("b", 500, 4)};
  const Cluster cluster = cluster_of(2);
  const Profile profile = profile_of(jobs);
  Evaluator evaluator({jobs}, cluster, profile);
  const Plan plan = make_plan({jobs}, cluster, profile, {});
  const double ratio =
      seconds(*evaluator.makespan(plan)) / seconds(*evaluator.whole_makespan(plan));
  EXPECT_NEAR(ratio, 1, 0.03);
  EXPECT_EQ(evaluator.evaluations(), 2);
}

}  // namespace
}  // namespace shardlab
