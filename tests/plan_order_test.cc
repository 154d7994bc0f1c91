#include "policies/plan_order.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "policies/order_departure.h"
#include "policies/registry.h"
#include "policies/replay.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/scenario.h"
#include "tests/wrapped_policy.h"
#include "traces/plan_file.h"

namespace shardlab {
namespace {

Timeline run(const Program& program, const Cluster& cluster, Policy& policy) {
  EstimatedCosts costs(program);
  Timeline timeline;
  simulate(program, cluster, policy, costs, &timeline);
  return timeline;
}

Plan plan_of(const Timeline& timeline) { return replaying({}, timeline); }

Plan plan_of(std::vector<OrderedUnit> order) {
  Plan plan;
  plan.policy = kReplay;
  plan.order = std::move(order);
  return plan;
}

Timeline follow(const Plan& plan, const Program& program, const Cluster& cluster,
                Replay::Times times = Replay::Times::kKept) {
  const auto policy = make_policy(plan, program, cluster.devices.size(), times);
  return run(program, cluster, *policy);
}

/// The first claim that is not the same; empty: none.
std::string difference(const std::vector<OrderedUnit>& a, const std::vector<OrderedUnit>& b) {
  const auto text = [](const std::vector<OrderedUnit>& order, std::size_t i) {
    if (i == order.size()) return std::string("nothing");
    const OrderedUnit& each = order[i];
    return fmt::format(
        "device {}, job {}, minibatch {}, unit {}, at {}.{}.{}, ahead {}, given back {}, "
        "kept {}",
        index(each.device), index(each.job), each.minibatch, each.unit,
        each.claim.time_since_epoch().count(), each.turn.round, each.turn.pass, each.ahead,
        each.given_back, each.kept);
  };
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i < a.size() && i < b.size() && a[i] == b[i]) continue;
    return fmt::format("claim {}: {}; {}", i, text(a, std::min(i, a.size())),
                       text(b, std::min(i, b.size())));
  }
  return "";
}

// Saving an order.

/// Another policy that also draws.
class Drawing : public Wrapped {
 public:
  Drawing(std::unique_ptr<Policy> policy, std::uint64_t seed)
      : Wrapped(std::move(policy)), draws_(seed) {}

 protected:
  std::mt19937_64 draws_;
};

/// Now and then leaves a slot empty although a unit could run, as a policy may.
class Hesitant final : public Drawing {
 public:
  using Drawing::Drawing;
  TrackId pick(const DeviceView& device) override {
    const bool passes = passed_ < 1000 && draws_() % 4 == 0;
    passed_ += passes ? 1 : 0;
    return passes ? kNoTrack : policy_->pick(device);
  }

 private:
  int passed_ = 0;
};

/// Says what goes first to make room, where resident jobs stay and what is kept, by drawing.
class Wilful final : public Drawing {
 public:
  using Drawing::Drawing;
  void begin(const StateView& view) override {
    devices_ = view.cluster().devices.size();
    Wrapped::begin(view);
  }
  DeviceId place(JobId job) override { return device_id((index(job) + draws_() % 2) % devices_); }
  [[nodiscard]] bool keeps(JobId, DeviceId) const override { return keeps_; }
  [[nodiscard]] bool evicts() const override { return true; }
  std::int64_t worth(JobId, ItemIndex, DeviceId) override {
    keeps_ = draws_() % 2 == 0;
    return static_cast<std::int64_t>(draws_() % 100);
  }

 private:
  std::size_t devices_ = 0;
  bool keeps_ = true;
};

std::vector<std::string> policies() {
  std::vector<std::string> names;
  for (const PolicyInfo& policy : known_policies()) names.emplace_back(policy.name);
  return names;
}

class SavedOrder : public testing::TestWithParam<std::string> {};

TEST_P(SavedOrder, ReplaysToTheSameNanosecond) {
  for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, GetParam()));
    const auto policy = make_policy(GetParam(), track_count(drawn.program), 1);
    const Timeline once = run(drawn.program, drawn.cluster, *policy);
    const Plan plan = plan_of(once);
    refuse_wrong_order(plan, drawn.program, drawn.cluster, false);
    const Timeline again = follow(plan, drawn.program, drawn.cluster);
    ASSERT_EQ(again.makespan, once.makespan);
    ASSERT_EQ(difference(order_of(again), plan.order), "");
    ASSERT_EQ(again.copies.size(), once.copies.size());
  }
}

// Policies that hold on purpose decide otherwise at the same instant; so the order of claims counts
// there too.
TEST_P(SavedOrder, OfAHesitantPolicyReplaysToTheSameNanosecond) {
  int completed = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(200); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, GetParam()));
    Hesitant policy(make_policy(GetParam(), track_count(drawn.program), 1), seed);
    Timeline once;
    try {
      once = run(drawn.program, drawn.cluster, policy);
    } catch (const Error&) {
      continue;  // It left all slots empty at once.
    }
    ++completed;
    const Plan plan = plan_of(once);
    const Timeline again = follow(plan, drawn.program, drawn.cluster);
    ASSERT_EQ(again.makespan, once.makespan);
  }
  EXPECT_GT(completed, 20);
}

TEST_P(SavedOrder, OfAWilfulPolicyReplaysToTheSameNanosecond) {
  int completed = 0, evictions = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(200); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, GetParam()));
    // Where a job is placed otherwise at each attempt, only the last one is known.
    if (std::ranges::any_of(drawn.program.jobs, &JobProgram::resident)) continue;
    Wilful policy(make_policy(GetParam(), track_count(drawn.program), 1), seed);
    const Timeline once = run(drawn.program, drawn.cluster, policy);
    ++completed;
    evictions += static_cast<int>(once.evicted.size());
    Plan plan = plan_of(once);
    const Timeline again = follow(plan, drawn.program, drawn.cluster);
    ASSERT_EQ(again.makespan, once.makespan);
    ASSERT_EQ(difference(order_of(again), plan.order), "");
    ASSERT_EQ(again.evicted, once.evicted);
    plan.jobs.push_back({Strategy::kSpill, {0}, {}, true});
    ASSERT_EQ(parse_plan(plan_json(plan)).evicted, plan.evicted);
    ASSERT_EQ(parse_plan(plan_json(plan)).places, plan.places);
  }
  EXPECT_GT(completed, 20);
  EXPECT_GT(evictions, 100);
}

TEST_P(SavedOrder, IsFollowedWithoutItsTimesToo) {
  for (std::uint64_t seed = 0; seed < instances::seeds(100); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, GetParam()));
    const auto policy = make_policy(GetParam(), track_count(drawn.program), 1);
    const Plan plan = plan_of(run(drawn.program, drawn.cluster, *policy));
    const Timeline again = follow(plan, drawn.program, drawn.cluster, Replay::Times::kIgnored);
    const auto units = [](const std::vector<OrderedUnit>& order) {
      std::vector<std::tuple<DeviceId, JobId, std::int64_t, std::uint32_t>> all;
      for (const OrderedUnit& each : order) {
        if (!each.given_back) all.emplace_back(each.device, each.job, each.minibatch, each.unit);
      }
      std::ranges::stable_sort(all, {}, [](const auto& unit) { return std::get<0>(unit); });
      return all;
    };
    ASSERT_EQ(units(order_of(again)).size(), units(plan.order).size());
    ASSERT_TRUE(units(order_of(again)) == units(plan.order));
  }
}

/// What a unit takes is another: each on its own, from a quarter to twice as long.
Program with_other_costs(Program program, std::uint64_t seed) {
  std::mt19937_64 draws(seed);
  for (JobProgram& job : program.jobs) {
    for (Unit& unit : job.units) {
      const double factor = 0.25 * static_cast<double>(1 + draws() % 8);
      for (UnitCost* cost : {&unit.alone, &unit.loaded}) {
        cost->total = Duration{std::llround(factor * static_cast<double>(cost->total.count()))};
        cost->recompute = std::min(cost->recompute, cost->total);
      }
    }
  }
  return program;
}

TEST_P(SavedOrder, EndsWhateverUnitsTakeAndWhenever) {
  for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, GetParam()));
    const auto policy = make_policy(GetParam(), track_count(drawn.program), 1);
    Plan plan = plan_of(run(drawn.program, drawn.cluster, *policy));
    const std::size_t rows = plan.order.size();
    const Program other = with_other_costs(drawn.program, seed);
    ASSERT_EQ(error_of([&] { follow(plan, other, drawn.cluster); }), "no error");
    plan.order[seed % rows].claim = Instant{Duration{10'000'000'000}};
    ASSERT_EQ(error_of([&] { follow(plan, drawn.program, drawn.cluster); }), "no error");
  }
}

TEST_P(SavedOrder, ComesBackFromAFile) {
  const scenarios::Lowered drawn = scenarios::lower(scenarios::draw(11, GetParam()));
  const auto policy = make_policy(GetParam(), track_count(drawn.program), 1);
  Plan plan = plan_of(run(drawn.program, drawn.cluster, *policy));
  plan.jobs.push_back({Strategy::kSpill, {0}, {}, true});
  const Plan read = parse_plan(plan_json(plan));
  EXPECT_EQ(difference(read.order, plan.order), "");
  EXPECT_EQ(read.makespan, plan.makespan);
}

INSTANTIATE_TEST_SUITE_P(All, SavedOrder, testing::ValuesIn(policies()),
                         [](const auto& info) { return info.param; });

// Orders by hand: two jobs of two units, A and B, on two devices.

Program two_jobs() { return instances::chains({{3, 3}, {4, 4}}); }

OrderedUnit claim(std::uint32_t device, std::uint32_t job, std::uint32_t unit,
                  std::int64_t at = 0) {
  return {DeviceId{device}, JobId{job}, 0, unit, Instant{Duration{at}}};
}

std::string refused(const std::vector<OrderedUnit>& order, const Program& program = two_jobs()) {
  const Cluster cluster = instances::devices(2, 1000);
  return error_of([&] { refuse_wrong_order(plan_of(order), program, cluster, false); });
}

TEST(PlanOrder, IsKeptToTheInstantsItNames) {
  const Program program = two_jobs();
  const Plan plan =
      plan_of({claim(0, 0, 0, 5), claim(0, 1, 1, 20), claim(1, 1, 0), claim(1, 0, 1, 8)});
  const Cluster cluster = instances::devices(2);
  EXPECT_EQ(refused(plan.order), "no error");
  EXPECT_EQ(follow(plan, program, cluster).makespan, Instant{Duration{24}});
  EXPECT_EQ(follow(plan, program, cluster, Replay::Times::kIgnored).makespan, Instant{Duration{8}});
}

TEST(PlanOrder, NamesWhatIsThere) {
  EXPECT_EQ(refused({claim(2, 0, 0)}),
            "order: row 0: there is no device 2; the cluster has 2, counted from 0");
  EXPECT_EQ(refused({claim(0, 2, 0)}),
            "order: row 0: there is no job 2; the workload has 2, counted from 0");
  EXPECT_EQ(refused({claim(0, 0, 2)}),
            "order: row 0: there is no unit 2; a minibatch of A has 2, counted from 0");
}

TEST(PlanOrder, LetsGoOnlyWhatIsThere) {
  const Program program = two_jobs();
  const auto refused = [&](const Eviction& evicted) {
    Plan plan = plan_of({claim(0, 0, 0), claim(0, 0, 1), claim(1, 1, 0), claim(1, 1, 1)});
    plan.evicted = {evicted};
    return error_of(
        [&] { refuse_wrong_order(plan, program, instances::devices(2), /*may_stop=*/false); });
  };
  EXPECT_EQ(refused({DeviceId{2}, JobId{0}, 0}),
            "evicted: row 0: there is no device 2; there are 2, counted from 0");
  EXPECT_EQ(refused({DeviceId{1}, JobId{2}, 0}),
            "evicted: row 0: there is no job 2; there are 2, counted from 0");
  EXPECT_EQ(refused({DeviceId{1}, JobId{1}, 99}),
            "evicted: row 0: there is no item 99; there are 0, counted from 0");
}

TEST(PlanOrder, HasEveryUnitOnce) {
  EXPECT_EQ(refused({claim(0, 0, 0), claim(0, 0, 1), claim(1, 1, 1)}),
            "order: job B, minibatch 0, unit 0 (forward of shard 0) is missing; add a row for it");
  EXPECT_EQ(refused({claim(0, 0, 0), claim(0, 0, 1), claim(1, 1, 0)}),
            "order: job B, minibatch 0, unit 1 (forward of shard 0) is missing; add a row for it");
  EXPECT_EQ(refused({claim(0, 0, 0), claim(1, 0, 0)}),
            "order: row 1, place 0 of d1: job A, minibatch 0, unit 0 (forward of shard 0): is in "
            "row 0 already; take one out");
}

TEST(PlanOrder, PutsNoUnitBeforeWhatItWaitsFor) {
  EXPECT_EQ(
      refused({claim(0, 0, 1), claim(0, 0, 0), claim(1, 1, 0), claim(1, 1, 1)}),
      "order: row 0, place 0 of d0: job A, minibatch 0, unit 1 (forward of shard 0): it waits "
      "for job A, minibatch 0, unit 0 (forward of shard 0), which the order puts behind it, "
      "here or by way of another device; move this row back");
  // Each waits for the other.
  EXPECT_NE(refused({claim(0, 0, 1), claim(0, 1, 0), claim(1, 1, 1), claim(1, 0, 0)}), "no error");
}

TEST(PlanOrder, KeepsWhatIsBoundWhereItIs) {
  Program program = two_jobs();
  program.jobs[0].units[1].bound = DeviceId{1};
  EXPECT_EQ(
      refused({claim(0, 0, 0), claim(0, 0, 1), claim(1, 1, 0), claim(1, 1, 1)}, program),
      "order: row 1, place 1 of d0: job A, minibatch 0, unit 1 (forward of shard 0): the plan "
      "keeps its shard on d1; move the row there");
  program = two_jobs();
  program.jobs[1].resident = program.jobs[1].held = true;
  program.jobs[1].peak = {600};
  const std::vector<OrderedUnit> apart{claim(0, 0, 0), claim(0, 0, 1), claim(1, 1, 0),
                                       claim(0, 1, 1)};
  EXPECT_EQ(
      refused(apart, program),
      "order: row 3, place 2 of d0: job B, minibatch 0, unit 1 (forward of shard 0): the plan "
      "keeps the whole job on d1; move the row there");
  program.jobs[1].peak = {1600};
  EXPECT_EQ(
      refused(apart, program),
      "order: row 2, place 0 of d1: job B, minibatch 0, unit 0 (forward of shard 0): the whole "
      "model needs 1.6 KiB (1600 bytes), and d1 has room for 1000 B (1000 bytes): 600 B (600 "
      "bytes) are missing; move it to a device with more memory, or cut the model into more "
      "shards");
}

TEST(PlanOrder, GivesARowTheMemoryThatItNeeds) {
  Program program = two_jobs();
  program.jobs[0].units[1].workspace = 1500;
  const std::vector<OrderedUnit> order{claim(0, 0, 0), claim(1, 1, 0), claim(1, 1, 1),
                                       claim(1, 0, 1)};
  EXPECT_EQ(
      refused(order, program),
      "order: row 3, place 2 of d1: job A, minibatch 0, unit 1 (forward of shard 0): it needs 1.5 "
      "KiB (1500 bytes), and d1 has room for 1000 B (1000 bytes): 500 B (500 bytes) are missing; "
      "move it to a device with more memory, or cut the model into more shards");
  program.jobs[0].units[1].workspace = 1000;
  EXPECT_EQ(refused(order, program), "no error");
  program.jobs[0].held = true;  // A pipeline, for example.
  program.jobs[0].peak = {400, 600};
  program.jobs[1].units[0].workspace = 401;
  EXPECT_EQ(
      refused(order, program),
      "order: row 3, place 2 of d1: job A, minibatch 0, unit 1 (forward of shard 0): what its job "
      "keeps there needs 600 B (600 bytes), and d1 has room for 599 B (599 bytes): 1 B (1 bytes) "
      "are missing; move it to a device with more memory, or cut the model into more shards");
}

// Both jobs fit the device, but not at once.
TEST(PlanOrder, NamesTheRowWhoseJobFindsNoRoomBesideOthers) {
  Program program = two_jobs();
  for (JobProgram& job : program.jobs) job.resident = job.held = true, job.peak = {600};
  const Cluster cluster = instances::devices(2, 1000);
  const std::vector<OrderedUnit> turns{claim(0, 0, 0), claim(0, 1, 0), claim(0, 0, 1),
                                       claim(0, 1, 1)};
  EXPECT_EQ(refused(turns, program), "no error");
  for (const auto times : {Replay::Times::kKept, Replay::Times::kIgnored}) {
    EXPECT_EQ(
        error_of([&] { follow(plan_of(turns), program, cluster, times); }),
        "order: row 1, place 1 of d0: job B, minibatch 0, unit 0 (forward of shard 0): its job is "
        "never admitted: it sets 600 B (600 bytes) aside on d0, where 400 B (400 bytes) are free "
        "beside A, which cannot end before this row: 200 B (200 bytes) are missing; move the row "
        "behind them or to a device with more memory");
  }
  const std::vector<OrderedUnit> after{claim(0, 0, 0), claim(0, 0, 1), claim(0, 1, 0),
                                       claim(0, 1, 1)};
  EXPECT_EQ(follow(plan_of(after), program, cluster).makespan, Instant{Duration{14}});
}

/// How the order of the run of one program departs when it is simulated with another.
std::string departs(const Plan& plan, const Program& program,
                    std::optional<int> buffer_slots = std::nullopt) {
  Cluster cluster = instances::devices(2);
  for (DeviceSpec& device : cluster.devices) device.buffer_slots = buffer_slots;
  const Timeline timeline = follow(plan, program, cluster);
  return order_departure(plan, program, cluster, timeline, timeline.makespan);
}

TEST(PlanOrder, SaysWhereARunDepartsFromItsTimes) {
  Program program = instances::chains({{3, 3, 3}, {4, 4}, {2, 2}}, /*slots=*/2);
  const auto policy = make_policy("lrtf", 3, 1);
  Plan plan = plan_of(run(program, instances::devices(2), *policy));
  plan.slots = program.slots;
  EXPECT_EQ(departs(plan, program), "");
  Program slower = program;
  slower.jobs[0].units[0].alone = slower.jobs[0].units[0].loaded = {Duration{5}, {}};
  EXPECT_EQ(
      departs(plan, slower),
      "its order was made for 0.000000011 s, simulated now it takes 0.000000013 s (+18.2 %); 3 "
      "of 7 claims come later than it says, the first is row 4, place 2 of d0: job B, "
      "minibatch 0, unit 1 (forward of shard 0): at 0.000000005 s, not 0.000000003 s, as the "
      "plan's 2 slots there are taken till then");
  Program faster = program;
  for (JobProgram& job : faster.jobs) {
    job.units.back().alone = job.units.back().loaded = {Duration{1}, {}};
  }
  EXPECT_EQ(departs(plan, faster),
            "its order was made for 0.000000011 s, simulated now it takes 0.000000008 s (-27.3 %)");
  plan.slots = program.slots = 1;
  EXPECT_EQ(
      departs(plan, program),
      "of its order 3 of 7 claims come later than it says, the first is row 4, place 2 of d0: "
      "job B, minibatch 0, unit 1 (forward of shard 0): at 0.000000005 s, not 0.000000003 s, "
      "as the plan's one slot there is taken till then");
  const std::string one = departs(plan, program);
  plan.slots = program.slots = 2;
  EXPECT_EQ(departs(plan, program, 1), "");
  EXPECT_EQ(departs(plan, program, 0), one.substr(0, one.rfind("the plan's")) +
                                           "the device's one slot there is taken till then");
  plan.makespan = {};  // Not known, and then no times either: nothing to depart from.
  for (OrderedUnit& each : plan.order) each.claim = {};
  EXPECT_EQ(departs(plan, slower), "");
}

TEST(PlanOrder, AdmitsJobsAsThePlanDoes) {
  Program program = two_jobs();
  program.admit = 1;
  EXPECT_EQ(refused({claim(0, 0, 0), claim(0, 0, 1), claim(1, 1, 0), claim(1, 1, 1)}, program),
            "no error");
  EXPECT_EQ(refused({claim(0, 0, 0), claim(0, 1, 0), claim(0, 0, 1), claim(0, 1, 1)}, program),
            "order: row 1, place 1 of d0: job B, minibatch 0, unit 0 (forward of shard 0): the job "
            "is never admitted, as the plan admits 1 at once and those before it wait behind this "
            "row; move the row back or raise admit");
}

TEST(PlanOrder, OfJobsThatStopMayEndEarlyButBetweenMinibatches) {
  Program program = two_jobs();
  program.jobs[1].minibatches = 5;
  const Plan plan = plan_of({claim(0, 0, 0), claim(0, 0, 1), claim(1, 1, 0), claim(1, 1, 1)});
  const Cluster cluster = instances::devices(2);
  refuse_wrong_order(plan, program, cluster, /*may_stop=*/true);
  EXPECT_THROW(refuse_wrong_order(plan, program, cluster, /*may_stop=*/false), Error);
}

}  // namespace
}  // namespace shardlab
