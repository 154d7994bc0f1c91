#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <gtest/gtest.h>

#include "core/error.h"
#include "policies/asha.h"
#include "policies/hyperband.h"
#include "policies/losses.h"
#include "policies/planner.h"
#include "policies/registry.h"
#include "policies/stop_after.h"
#include "policies/tuners.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

/// Jobs of one unit per minibatch, which takes times[j] ns.
Program one_unit_jobs(const std::vector<int>& times, std::int64_t minibatches) {
  std::vector<std::vector<int>> units;
  for (const int time : times) units.push_back({time});
  Program program = instances::chains(units);
  for (JobProgram& job : program.jobs) job.minibatches = minibatches;
  return program;
}

/// Jobs with one loss each, however long they train.
Workload judged(StopMethod method, const std::vector<double>& losses, std::int64_t most,
                std::int64_t eta = 3, std::int64_t least = 1) {
  Workload workload;
  workload.jobs.resize(losses.size());
  workload.early_stop = EarlyStop{method, eta, least, most, "given", {}, 1};
  for (const double loss : losses) workload.early_stop->curves.push_back({{1, loss}});
  return workload;
}

Timeline run(const Program& program, const Cluster& cluster, Tuner* tuner,
             const std::string& policy = "fifo") {
  Timeline timeline;
  EstimatedCosts costs(program);
  const auto chosen = make_policy(policy, track_count(program), 1);
  simulate(program, cluster, *chosen, costs, &timeline, tuner);
  expect_valid(timeline, program);
  return timeline;
}

std::vector<std::int64_t> minibatches(const Timeline& timeline) {
  std::vector<std::int64_t> counts;
  for (const JobEnd& end : timeline.ends) counts.push_back(end.minibatches);
  return counts;
}

std::int64_t end_of(const Timeline& timeline, std::size_t job) {
  return timeline.ends[job].at.time_since_epoch().count();
}

using Counts = std::vector<std::int64_t>;

// 9 jobs at the first rung, the best 3 of them at 3 minibatches, the best of those to the end.
TEST(SuccessiveHalving, KeepsAThirdAtEveryRung) {
  Workload workload = judged(StopMethod::kSuccessiveHalving, {5, 1, 9, 8, 2, 7, 3, 6, 4}, 9);
  workload.early_stop->curves[6] = {{1, 3}, {3, 0.5}};  // Third at first, then best.
  const auto tuner = make_tuner(workload);
  const Timeline timeline =
      run(one_unit_jobs(std::vector<int>(9, 1), 9), instances::devices(2), tuner.get());
  EXPECT_EQ(minibatches(timeline), (Counts{1, 3, 1, 1, 3, 1, 9, 1, 1}));
  EXPECT_TRUE(timeline.ends[6].completed);
  EXPECT_EQ(timeline.ends[6].reason, "");
  EXPECT_FALSE(timeline.ends[1].completed);
  EXPECT_EQ(timeline.ends[0].reason, "stopped by successive halving at rung 0 after 1 minibatch");
  EXPECT_EQ(timeline.ends[1].reason, "stopped by successive halving at rung 1 after 3 minibatches");
  // 9 on 2 devices take 5 ns; 3 times 2 take 3; 6 of one job take 6.
  EXPECT_EQ(end_of(timeline, 0), 5);
  EXPECT_EQ(end_of(timeline, 1), 8);
  EXPECT_EQ(end_of(timeline, 6), 14);
}

TEST(SuccessiveHalving, TiesGoToTheLowerJob) {
  const Workload workload = judged(StopMethod::kSuccessiveHalving, std::vector<double>(9, 0.7), 9);
  const auto tuner = make_tuner(workload);
  const Timeline timeline =
      run(one_unit_jobs({9, 8, 7, 6, 5, 4, 3, 2, 1}, 9), instances::devices(3), tuner.get());
  EXPECT_EQ(minibatches(timeline), (Counts{9, 3, 3, 1, 1, 1, 1, 1, 1}));
}

TEST(SuccessiveHalving, StopsTheBestAtMaxWhereJobsAreLonger) {
  const Workload workload = judged(StopMethod::kSuccessiveHalving, {1, 2, 3}, 4);
  const auto tuner = make_tuner(workload);
  const Timeline timeline = run(one_unit_jobs({1, 1, 1}, 20), instances::devices(1), tuner.get());
  EXPECT_EQ(minibatches(timeline), (Counts{4, 1, 1}));  // Rungs at 1 and 3: one is always left.
  EXPECT_EQ(timeline.ends[0].reason, "stopped by successive halving after 4 minibatches, its max");
}

// A, B and C take 1 ns a minibatch, D takes 20. The best of the first three need not wait for D.
TEST(Asha, PromotesWithoutWaiting) {
  const Program program = one_unit_jobs({1, 1, 1, 20}, 3);
  const Workload waits = judged(StopMethod::kSuccessiveHalving, {1, 2, 3, 4}, 3);
  const Workload goes = judged(StopMethod::kAsha, {1, 2, 3, 4}, 3);
  const auto sha = make_tuner(waits), asha = make_tuner(goes);
  const Timeline waited = run(program, instances::devices(4), sha.get());
  const Timeline went = run(program, instances::devices(4), asha.get());
  EXPECT_EQ(minibatches(waited), (Counts{3, 1, 1, 1}));
  EXPECT_EQ(minibatches(went), (Counts{3, 1, 1, 1}));
  EXPECT_EQ(end_of(waited, 0), 22);
  EXPECT_EQ(end_of(went, 0), 3);
  EXPECT_EQ(end_of(went, 1), 20);  // D might still have made it one of the best.
  EXPECT_EQ(went.ends[1].reason, "stopped by ASHA at rung 0 after 1 minibatch");
}

/// "2+" goes on, "3-" stops.
std::string decided(Tuner& tuner) {
  std::string text;
  for (const Tuner::Verdict& verdict : tuner.decide()) {
    text += (text.empty() ? "" : " ") + std::to_string(index(verdict.job)) +
            (verdict.goes_on ? "+" : "-");
  }
  return text;
}

// eta 2: of n results at a rung n / 2 go on.
TEST(Asha, PromotesWhomLaterResultsMakeOneOfTheBest) {
  const std::vector<double> loss{3, 4, 1, 2, 5, 6};
  Asha asha(6, geometric_rungs("ASHA", 2, 1, 4), 2,
            [&](JobId job, std::int64_t) { return loss[index(job)]; });
  const auto reaches = [&](std::size_t job, std::int64_t n) {
    asha.reached(job_id(job), n);
    return decided(asha);
  };
  EXPECT_EQ(asha.goal(job_id(0)), 1);
  EXPECT_EQ(reaches(1, 1), "");    // 4: one result, none of them may go on
  EXPECT_EQ(reaches(0, 1), "0+");  // 3 4
  EXPECT_EQ(asha.goal(job_id(0)), 2);
  EXPECT_EQ(reaches(4, 1), "");          // 3 4 5
  EXPECT_EQ(reaches(5, 1), "1+");        // 3 4 5 6: job 1 was there first of all
  EXPECT_EQ(reaches(2, 1), "2+");        // 1 3 | 4 5 6: job 1 is gone on, rightly or not
  EXPECT_EQ(reaches(3, 1), "3+ 4- 5-");  // 1 2 3 | 4 5 6, and nobody can come any more
  EXPECT_EQ(reaches(0, 2), "");          // The next rung fills: 3
  EXPECT_EQ(reaches(1, 2), "0+");        // 3 4
  asha.ended(job_id(3));                 // It failed on its way.
  EXPECT_EQ(decided(asha), "");
  EXPECT_EQ(reaches(2, 2), "2+ 1-");  // 1 | 3 4
  EXPECT_EQ(asha.goal(job_id(2)), 4);
  EXPECT_EQ(reaches(2, 4), "2-");  // At max.
}

TEST(Asha, JudgesResultsOfOneInstantTogether) {
  const std::vector<double> loss{3, 2, 1};
  Asha asha(3, geometric_rungs("ASHA", 3, 1, 3), 3,
            [&](JobId job, std::int64_t) { return loss[index(job)]; });
  for (std::size_t j = 0; j < 3; ++j) asha.reached(job_id(j), 1);
  EXPECT_EQ(decided(asha), "2+ 1- 0-");
}

// The table of s, n and r that follows from Algorithm 1 for R = 81 and eta = 3.
TEST(Hyperband, HasTheBracketsOfThePaper) {
  const auto brackets = hyperband_brackets(3, 81);
  ASSERT_EQ(brackets.size(), 5u);
  const std::vector<std::int64_t> sizes{81, 34, 15, 8, 5};
  const std::vector<std::vector<std::int64_t>> rungs{{1, 3, 9, 27}, {3, 9, 27}, {9, 27}, {27}, {}};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(brackets[i].jobs, sizes[i]);
    EXPECT_EQ(brackets[i].rungs.at, rungs[i]);
    EXPECT_EQ(brackets[i].rungs.most, 81);
  }
}

TEST(Hyperband, HalvesEveryBracketOnItsOwn) {
  std::vector<double> losses;
  for (int j = 0; j < 150; ++j) losses.push_back(j);  // 81, 34, 15, 8, 5 and 7 of another round
  const Workload workload = judged(StopMethod::kHyperband, losses, 81);
  const auto tuner = make_tuner(workload);
  const Timeline timeline =
      run(one_unit_jobs(std::vector<int>(150, 1), 81), instances::devices(4), tuner.get());
  const auto of = [&](std::size_t from, std::size_t count) {
    std::map<std::int64_t, int> found;  // How many ended after how many minibatches.
    for (std::size_t j = from; j < from + count; ++j) ++found[timeline.ends[j].minibatches];
    return found;
  };
  using Found = std::map<std::int64_t, int>;
  EXPECT_EQ(of(0, 81), (Found{{1, 54}, {3, 18}, {9, 6}, {27, 2}, {81, 1}}));
  EXPECT_EQ(of(81, 34), (Found{{3, 23}, {9, 8}, {27, 2}, {81, 1}}));
  EXPECT_EQ(of(115, 15), (Found{{9, 10}, {27, 4}, {81, 1}}));
  EXPECT_EQ(of(130, 8), (Found{{27, 6}, {81, 2}}));
  EXPECT_EQ(of(138, 5), (Found{{81, 5}}));
  EXPECT_EQ(of(143, 7), (Found{{1, 5}, {3, 1}, {81, 1}}));  // 7 -> 2 -> 1 -> 1 -> 1
  EXPECT_EQ(timeline.ends[114].reason,
            "stopped by Hyperband in bracket 3 at rung 0 after 3 minibatches");
}

TEST(StopAfter, StopsAJobThatPoliciesTakeForLonger) {
  Workload workload;
  workload.jobs.resize(2);
  workload.jobs[0].minibatches = workload.jobs[1].minibatches = 9;
  workload.jobs[0].stop_after = 4;
  const auto tuner = make_tuner(workload);
  const Timeline timeline =
      run(one_unit_jobs({2, 1}, 9), instances::devices(1), tuner.get(), "lrtf");
  EXPECT_EQ(minibatches(timeline), (Counts{4, 9}));
  EXPECT_EQ(timeline.ends[0].reason, "stopped after 4 minibatches, as its stop_after says");
  EXPECT_EQ(end_of(timeline, 0), 8);  // Its 18 ns were the longest, until they fell below 9.
}

TEST(Losses, AreLinearBetweenPointsAndHeldOutside) {
  const LearningCurve curve{{2, 8}, {4, 4}, {10, 1}};
  EXPECT_EQ(loss_at(curve, 1), 8);
  EXPECT_EQ(loss_at(curve, 3), 6);
  EXPECT_EQ(loss_at(curve, 4), 4);
  EXPECT_EQ(loss_at(curve, 6), 3);
  EXPECT_EQ(loss_at(curve, 99), 1);
}

TEST(Losses, AreDrawnByPlace) {
  const double here = drawn_loss(1, job_id(3), 7);
  EXPECT_EQ(drawn_loss(1, job_id(3), 7), here);
  EXPECT_NE(drawn_loss(2, job_id(3), 7), here);
  EXPECT_NE(drawn_loss(1, job_id(4), 7), here);
  for (std::size_t j = 0; j < 100; ++j) {
    EXPECT_GT(drawn_loss(1, job_id(j), 1), drawn_loss(1, job_id(j), 1000));
    EXPECT_LE(drawn_loss(1, job_id(j), 1), 5.52);
    EXPECT_GT(drawn_loss(1, job_id(j), 1'000'000'000), 0.47);
  }
}

// What is paused leaves its device: both jobs must come to the rung, and there is room for one.
TEST(Losses, MeasuredOnesAreTheMeanOverTheLatterHalf) {
  MeasuredLosses losses(2);
  const JobId job{1};
  EXPECT_TRUE(std::isinf(losses.after(job, 1)));
  std::int64_t minibatch = 0;
  for (const double loss : {8, 6, 4, 3, 1}) losses.add(job, ++minibatch, loss);
  EXPECT_EQ(losses.after(job, 1), 8);
  EXPECT_EQ(losses.after(job, 2), 6);
  EXPECT_EQ(losses.after(job, 3), 5);
  EXPECT_EQ(losses.after(job, 5), (4.0 + 3 + 1) / 3);
  EXPECT_EQ(losses.after(job, 9), (4.0 + 3 + 1) / 3);  // All that is known.
  losses.add(job, 3, 2);                               // It ran again.
  EXPECT_EQ(losses.after(job, 5), 4);
  EXPECT_EQ(losses.after(JobId{0}, 1), std::numeric_limits<double>::infinity());
}

TEST(Tuner, PausedJobsGiveTheirMemoryToOthers) {
  instances::Case drawn =
      instances::draw({.jobs = 4, .shards = 1, .minibatches = 8, .slots = 2}, 3);
  for (JobPlan& plan : drawn.plan.jobs) plan.strategy = Strategy::kResident;
  Cluster cluster = instances::devices(1, kUnlimited, {Duration{1}, 1e9});
  const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
  for (const JobProgram& job : program.jobs) {
    cluster.devices[0].memory =
        job.peak[0] > cluster.devices[0].memory || cluster.devices[0].memory == kUnlimited
            ? job.peak[0]
            : cluster.devices[0].memory;
  }
  drawn.workload.early_stop = EarlyStop{
      StopMethod::kSuccessiveHalving, 2, 2, 8, "", {{{1, 4.}}, {{1, 1.}}, {{1, 3.}}, {{1, 2.}}}, 1};
  const auto tuner = make_tuner(drawn.workload);
  EXPECT_EQ(minibatches(run(program, cluster, tuner.get())), (Counts{2, 8, 2, 4}));
}

// The same at one admitted job: who waits for its rung is not one of those that run.
TEST(Tuner, PausedJobsGiveTheirPlaceToOthers) {
  Program program = one_unit_jobs({1, 1, 1, 1}, 4);
  program.admit = 1;
  const Workload workload = judged(StopMethod::kSuccessiveHalving, {4, 1, 3, 2}, 4, 2);
  const auto tuner = make_tuner(workload);
  const Timeline timeline = run(program, instances::devices(3), tuner.get());
  EXPECT_EQ(minibatches(timeline), (Counts{1, 4, 1, 2}));
  EXPECT_EQ(end_of(timeline, 1), 4 + 2 + 2);
}

TEST(Tuner, ThatStopsNobodyChangesNothing) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const instances::Case drawn = instances::draw({.jobs = 5, .minibatches = 4, .slots = 2}, seed);
    Cluster cluster = instances::devices(2, kUnlimited, {Duration{2}, 1e9});
    const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
    for (DeviceSpec& device : cluster.devices) device.memory = instances::tight_budget(program);
    StopAfter nobody(drawn.workload);
    const Timeline with = run(program, cluster, &nobody, "lrtf");
    const Timeline without = run(program, cluster, nullptr, "lrtf");
    ASSERT_EQ(with.makespan, without.makespan) << "seed " << seed;
    ASSERT_EQ(with.copies.size(), without.copies.size());
    for (const JobEnd& end : with.ends) ASSERT_TRUE(end.completed);
  }
}

/// The slow way: who is left after every rung, by losses alone.
Counts halved(std::vector<std::size_t> jobs, const Rungs& rungs, std::size_t eta,
              const EarlyStop& how, Counts counts) {
  const LossOf loss = losses(how);
  for (const std::int64_t at : rungs.at) {
    for (const std::size_t j : jobs) counts[j] = at;
    std::stable_sort(jobs.begin(), jobs.end(), [&](std::size_t a, std::size_t b) {
      return loss(job_id(a), at) < loss(job_id(b), at);
    });
    jobs.resize(std::max<std::size_t>(1, jobs.size() / eta));
    std::sort(jobs.begin(), jobs.end());
  }
  for (const std::size_t j : jobs) counts[j] = rungs.most;
  return counts;
}

class EveryPolicy : public testing::TestWithParam<PolicyInfo> {};

// Hundreds of random cases: chains and pipelines, held jobs, memory, links, arrivals, places. Who
// survives successive halving does not depend on any of that.
TEST_P(EveryPolicy, EndsEveryJobUnderEveryMethod) {
  const std::string policy(GetParam().name);
  std::map<std::string, int> ran;
  for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
    instances::Draw pick(seed);
    instances::Shape shape;
    shape.jobs = 1 + pick(12);
    shape.shards = 1 + pick(4);
    shape.minibatches = 2 + pick(12);
    shape.slots = 1 + pick(3);
    instances::Case drawn = instances::draw(shape, seed);
    const std::size_t count = 1 + static_cast<std::size_t>(pick(4));
    const std::vector<std::string> strategies{
        "spill",      "resident",         "model_parallel",
        "gpipe(0,1)", "one_f_one_b(0,1)", "zero_offload(" + std::to_string(count) + ")"};
    PlanChoice choice{parse_strategy_choice(strategies[static_cast<std::size_t>(pick(6))]),
                      policy,
                      shape.slots,
                      pick(3),
                      true,
                      1,
                      {}};
    if (choice.strategy.strategy == Strategy::kModelParallel) choice.recompute = pick(2) == 0;
    for (Job& job : drawn.workload.jobs) job.arrival = Duration{pick(2) * pick(100)};
    EarlyStop how{static_cast<StopMethod>(pick(3)),
                  2 + pick(3),
                  1,
                  1 + pick(static_cast<int>(shape.minibatches)),
                  "",
                  {},
                  seed};
    if (how.most > 1) how.least = 1 + pick(static_cast<int>(how.most) - 1);
    drawn.workload.early_stop = how;
    LinkSpec link;
    if (pick(3) > 0) link = {Duration{pick(5)}, 1e9 / (1 + pick(4))};
    Cluster cluster = instances::devices(count, kUnlimited, link, pick(3));
    if (pick(3) == 0) {
      for (DeviceSpec& device : cluster.devices) device.peer = LinkSpec{Duration{2}, 1e9};
    }
    drawn.profile.loaded.copy = drawn.profile.alone.copy = {Duration{pick(3)}, pick(2) * 2e9};
    Plan plan;
    try {
      plan = make_plan(drawn.workload, cluster, drawn.profile, choice);
    } catch (const Error&) {
      continue;  // More stages than layers or devices.
    }
    if (choice.strategy.strategy == Strategy::kSpill) plan.jobs = drawn.plan.jobs;
    const Program program = lower(drawn.workload, cluster, drawn.profile, plan);
    for (DeviceSpec& device : cluster.devices) {
      device.memory = instances::tight_budget(program) + pick(10);
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed << " " << to_string(choice.strategy) << " "
                                    << to_string(how.method));
    const auto tuner = make_tuner(drawn.workload);
    const Timeline timeline = run(program, cluster, tuner.get(), policy);
    ++ran[to_string(choice.strategy.strategy)];
    std::vector<std::int64_t> units(program.jobs.size());
    for (const UnitSpan& span : timeline.units) {
      ++units[index(span.job)];
      ASSERT_GE(span.claimed, program.jobs[index(span.job)].arrival);
    }
    for (std::size_t j = 0; j < program.jobs.size(); ++j) {
      const JobEnd& end = timeline.ends[j];
      ASSERT_EQ(end.completed, end.minibatches == shape.minibatches);
      ASSERT_EQ(end.completed, end.reason.empty());
      ASSERT_EQ(units[j],
                end.minibatches * static_cast<std::int64_t>(program.jobs[j].units.size()));
    }
    if (how.method == StopMethod::kSuccessiveHalving) {
      std::vector<std::size_t> all(program.jobs.size());
      for (std::size_t j = 0; j < all.size(); ++j) all[j] = j;
      ASSERT_EQ(minibatches(timeline),
                halved(all, geometric_rungs("", how.eta, how.least, how.most),
                       static_cast<std::size_t>(how.eta), how, Counts(all.size())));
    } else {
      const Counts counts = minibatches(timeline);
      ASSERT_GE(std::count(counts.begin(), counts.end(), how.most), 1);
    }
    if (HasFailure()) return;
  }
  EXPECT_EQ(ran.size(), 6u);  // Every strategy had its turn.
}

INSTANTIATE_TEST_SUITE_P(All, EveryPolicy, testing::ValuesIn(known_policies()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace shardlab
