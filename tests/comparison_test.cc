#include "report/comparison.h"

#include <cmath>

#include <gtest/gtest.h>

#include "policies/bounds.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"

namespace shardlab {
namespace {

/// A machine unlike its profile: every job's units are slower by a factor of their own, every
/// single unit and copy by another.
class OtherMachine final : public Costs {
 public:
  OtherMachine(const Program& program, std::uint64_t seed) : estimate_(program), seed_(seed) {}
  UnitCost unit(const UnitRun& run) override {
    UnitCost cost = estimate_.unit(run);
    const double kind = 1 + 0.2 * draw({index(run.job), run.unit});
    const double one =
        1 + 0.1 * draw({index(run.job), run.unit, static_cast<std::uint64_t>(run.minibatch)});
    cost.total = Duration{std::llround(static_cast<double>(cost.total.count()) * kind * one)};
    return cost;
  }
  Duration engine_copy(const Transfer&, Duration by_link) override { return by_link; }
  Duration host_step(const Transfer& transfer) override { return estimate_.host_step(transfer); }
  Duration lane_copy(const Transfer& transfer) override {
    return estimate_.lane_copy(transfer) + Duration{1 + (index(transfer.job) + transfer.item) % 3};
  }

 private:
  /// In [0, 1), from the seed and the place.
  [[nodiscard]] double draw(std::initializer_list<std::uint64_t> place) const {
    std::uint64_t bits = seed_;
    for (const std::uint64_t part : place) bits = (bits ^ (part + 1)) * 0x9e3779b97f4a7c15u;
    return static_cast<double>((bits ^ (bits >> 29)) * 0xbf58476d1ce4e5b9u >> 11) * 0x1p-53;
  }
  EstimatedCosts estimate_;
  std::uint64_t seed_;
};

struct Scene {
  instances::Case drawn;
  Cluster cluster;
  Program program;
  Timeline measured;
};

Scene scene(std::uint64_t seed, const std::string& policy, int slots) {
  Scene made;
  made.drawn = instances::draw(
      {.jobs = 5, .shards = 3, .minibatches = 6, .slots = slots, .longest = 5000, .largest = 2000},
      seed);
  made.drawn.plan.policy = policy;
  made.drawn.plan.name = "drawn/" + policy;
  made.drawn.profile.loaded.copy = made.drawn.profile.alone.copy = {Duration{2}, 1e11};
  made.drawn.profile.loaded.dispatch = Duration{3};
  made.cluster = instances::devices(2, 40'000, {Duration{5}, 8e9}, 0);
  made.program = lower(made.drawn.workload, made.cluster, made.drawn.profile, made.drawn.plan);
  OtherMachine machine(made.program, seed);
  const auto chosen = make_policy(policy, made.program.jobs.size(), made.drawn.plan.seed);
  simulate(made.program, made.cluster, *chosen, machine, &made.measured);
  made.measured.source = "measured";
  return made;
}

Comparison compare(const Scene& scene) {
  return compare(scene.program, scene.cluster, scene.drawn.plan, scene.measured);
}

TEST(Comparison, PartsSumToTheErrorAndMeasuredTimesGiveTheMeasuredMakespan) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    for (const PolicyInfo& policy : known_policies()) {
      for (const int slots : {1, 2}) {
        const Scene made = scene(seed, std::string(policy.name), slots);
        const Comparison found = compare(made);
        ASSERT_EQ(found.split.sum(), found.measured.makespan - found.predicted.makespan);
        ASSERT_GT(found.split.profile, Duration{}) << "the machine is slower than its profile";
        ASSERT_NEAR(seconds(found.replayed.makespan) / seconds(found.measured.makespan), 1, 0.01)
            << policy.name << ", seed " << seed << ", slots " << slots;
      }
    }
  }
}

TEST(Comparison, MachineThatKeepsToItsProfileLeavesNoError) {
  Scene made = scene(1, "lrtf", 2);
  made.measured = {};
  EstimatedCosts exact(made.program);
  const auto policy = make_policy("lrtf", made.program.jobs.size(), 1);
  simulate(made.program, made.cluster, *policy, exact, &made.measured);
  const ErrorSplit split = compare(made).split;
  for (const Duration part : {split.profile, split.contention, split.decisions, split.dispatch}) {
    EXPECT_EQ(part, Duration{});
  }
}

// What was measured holds already what copies do to each other and to computing.
TEST(Comparison, ContentionIsNotAddedToWhatWasMeasured) {
  Scene made = scene(1, "lrtf", 2);
  made.cluster = instances::devices(2, 40'000, {Duration{5}, 8e9}, 2);
  made.cluster.switches = {{"root", 8e9, 8e9, 0, kNoSwitch}};
  for (DeviceSpec& device : made.cluster.devices) {
    device.parent = 0;
    device.slow_down_promote = 1.5;
  }
  made.measured = {};
  EstimatedCosts exact(made.program);
  const auto policy = make_policy("lrtf", track_count(made.program), 1);
  simulate(made.program, made.cluster, *policy, exact, &made.measured);
  const Comparison found = compare(made);
  EXPECT_EQ(found.predicted.makespan, found.measured.makespan);
  EXPECT_NEAR(seconds(found.replayed.makespan) / seconds(found.measured.makespan), 1, 0.001);
}

TEST(Comparison, StoppedJobsCountWithTheirCompleteMinibatches) {
  Scene made = scene(3, "fifo", 2);
  for (const std::size_t stopped : {std::size_t{1}, std::size_t{2}}) {
    made.measured.ends[stopped].completed = false;
    made.measured.ends[stopped].minibatches = stopped == 1 ? 0 : 2;
  }
  const Comparison found = compare(made);
  EXPECT_EQ(found.note, "job1 counts with 0 of 6 minibatches; job2 counts with 2 of 6 minibatches");
  EXPECT_EQ(found.predicted.jobs, (std::vector<std::string>{"job0", "job2", "job3", "job4"}));
  EXPECT_EQ(found.predicted.units.size(), found.measured.units.size());
  EXPECT_EQ(found.split.sum(), found.measured.makespan - found.predicted.makespan);
}

TEST(Comparison, RefusesTimelinesOfSomethingElse) {
  const Scene whole = scene(4, "lrtf", 1);
  const auto error = [&](const auto& spoil) {
    Scene made = whole;
    spoil(made.measured);
    return error_of([&] { compare(made); });
  };
  EXPECT_NE(error([](Timeline& t) { t.interrupted = true; }).find("interrupted"),
            std::string::npos);
  EXPECT_EQ(error([](Timeline& t) { t.jobs[2] = "other"; }),
            "job 2 is \"other\" in the timeline and \"job2\" in the workload");
  EXPECT_EQ(error([](Timeline& t) { t.devices.pop_back(); }),
            "the timeline has 1 devices, the cluster 2");
  const std::string another_plan =
      "units: row 0: is no unit of this plan; give the plan that was run with --plan";
  EXPECT_EQ(error([](Timeline& t) { t.units[0].shard += 1; }), another_plan);
  EXPECT_EQ(error([](Timeline& t) { t.units[0].unit = 99; }), another_plan);
  EXPECT_EQ(error([](Timeline& t) { std::swap(t.units.front(), t.units.back()); }),
            "units: job4 has unit 4 of minibatch 5 where unit 0 of minibatch 0 belongs");
  EXPECT_EQ(error([](Timeline& t) { t.units.pop_back(); }), "units: job4 has 29 of 30 units");
  EXPECT_EQ(error([](Timeline& t) { t.makespan = Instant{}; }), "copies: one ends after the run");
}

TEST(Comparison, TextNamesEveryPartWithItsUnit) {
  const Scene made = scene(5, "lrtf", 2);
  const std::string text = comparison_text(compare(made), {});
  for (const char* word : {"measured", "predicted", "naive estimate", "lower bound", "profile:",
                           "contention:", "changed decisions:", "dispatch:", "occupied %", " s "}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << "\n" << text;
  }
}

}  // namespace
}  // namespace shardlab
