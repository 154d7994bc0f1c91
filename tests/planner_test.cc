#include "policies/planner.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sched/lower.h"
#include "sched/shard_cost.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"

namespace shardlab {
namespace {

/// Jobs whose layers are all alike: each parameter block takes 100 bytes, everything else little.
instances::Case even(int jobs, int layers) {
  auto drawn = instances::draw({.jobs = jobs, .shards = layers}, 7);
  for (ModelProfile& model : drawn.profile.models) {
    for (LayerCost& layer : model.layers) {
      layer.name = "block";
      layer.loaded.forward.median = layer.loaded.recompute.median = Duration{10};
      layer.loaded.backward.median = Duration{20};
      layer.loaded.step.median = Duration{2};
      layer.alone = layer.loaded;
      layer.parameters = layer.state = 100;
      layer.output = layer.saved = layer.forward_workspace = layer.backward_workspace = 1;
    }
  }
  return drawn;
}

Bytes peak(const instances::Case& drawn, int first, int last) {
  constexpr Bytes kTokens = 8;  // Ids of input or target, which first and last shard read too.
  return shard_cost(drawn.profile.models.front(), first, last).peak() + kTokens;
}

Plan plan(const instances::Case& drawn, const Cluster& cluster, const PlanChoice& choice) {
  return make_plan(drawn.workload, cluster, drawn.profile, choice);
}

TEST(Planner, SpillCutsByTheSmallestBudgetOverTheSlots) {
  const auto drawn = even(2, 6);
  Cluster cluster = instances::devices(2, 10 * peak(drawn, 0, 6));
  cluster.devices[1].memory = 2 * peak(drawn, 1, 3);  // Two layers, or four.
  const Plan two = plan(drawn, cluster, {.slots = 2});
  EXPECT_EQ(two.name, "spill/lrtf");
  EXPECT_EQ(two.jobs.front().first_layer, (std::vector<int>{0, 2, 4}));
  const Plan one = plan(drawn, cluster, {.slots = 1});
  EXPECT_EQ(one.jobs.front().first_layer, (std::vector<int>{0, 4}));
  EXPECT_EQ(one.name, "spill/lrtf/slots=1");
}

TEST(Planner, SpillCutsByTheSlotsOfEachDevice) {
  const auto drawn = even(2, 6);
  Cluster cluster = instances::devices(2, 6 * peak(drawn, 1, 3));
  EXPECT_EQ(room_per_slot(cluster, 2), 3 * peak(drawn, 1, 3));
  cluster.devices[1].buffer_slots = 5;
  EXPECT_EQ(room_per_slot(cluster, 2), peak(drawn, 1, 3));
  EXPECT_EQ(plan(drawn, cluster, {.slots = 1}).jobs.front().first_layer,
            (std::vector<int>{0, 2, 4}));
  cluster.devices[1].memory = peak(drawn, 1, 3);
  cluster.devices[1].buffer_slots = 0;
  EXPECT_EQ(plan(drawn, cluster, {.slots = 6}).jobs.front().first_layer,
            (std::vector<int>{0, 2, 4}));
}

TEST(Planner, ModelParallelHasOneShardPerDeviceWhereItFits) {
  const auto drawn = even(2, 6);
  const Plan made = plan(drawn, instances::devices(3, peak(drawn, 2, 4)),
                         {.strategy = Strategy::kModelParallel, .admit = 1});
  EXPECT_EQ(made.jobs.front().first_layer, (std::vector<int>{0, 2, 4}));
  EXPECT_EQ(made.jobs.front().device,
            (std::vector<DeviceId>{DeviceId{0}, DeviceId{1}, DeviceId{2}}));
  EXPECT_EQ(made.name, "model_parallel/lrtf/admit=1");
}

TEST(Planner, ModelParallelSpillsWithinItsDeviceWhereShardsDoNotFit) {
  const auto drawn = even(2, 8);
  const auto made = make_plans(drawn.workload, instances::devices(2, peak(drawn, 2, 4)),
                               drawn.profile, {{.strategy = Strategy::kModelParallel}});
  const JobPlan& job = made.front().plan->jobs.front();
  EXPECT_EQ(job.first_layer, (std::vector<int>{0, 2, 4, 6}));
  EXPECT_EQ(job.device,
            (std::vector<DeviceId>{DeviceId{0}, DeviceId{0}, DeviceId{1}, DeviceId{1}}));
  EXPECT_EQ(made.front().note,
            "bound shards do not all fit and spill within their device: job0 (4 shards), job1 (4 "
            "shards)");
}

TEST(Planner, KeptActivationsThatDoNotFitAreReportedWithTheReason) {
  const auto drawn = even(2, 8);
  const Cluster cluster = instances::devices(2, 2 * peak(drawn, 2, 3));
  const PlanChoice keep{.strategy = Strategy::kModelParallel, .admit = 1, .recompute = false};
  const auto made = make_plans(drawn.workload, cluster, drawn.profile, {keep, {}});
  EXPECT_FALSE(made[0].plan);
  EXPECT_NE(made[0].note.find("job0: what it keeps there needs "), std::string::npos)
      << made[0].note;
  EXPECT_TRUE(made[1].plan);
  EXPECT_EQ(error_of([&] { make_plans(drawn.workload, cluster, drawn.profile, {keep}); }),
            made[0].note);
}

TEST(Planner, ResidentIsOneShard) {
  const auto drawn = even(2, 4);
  const Plan made = plan(drawn, instances::devices(2, 10'000), {.strategy = Strategy::kResident});
  EXPECT_EQ(made.jobs.front().shards(), 1);
  EXPECT_TRUE(made.jobs.front().device.empty());
}

TEST(Planner, RefusesWhatContradictsItself) {
  const auto drawn = even(1, 4);
  const Cluster cluster = instances::devices(2);
  EXPECT_NE(error_of([&] { plan(drawn, cluster, {.recompute = false}); }).find("spill cannot keep"),
            std::string::npos);
  EXPECT_NE(error_of([&] { plan(drawn, cluster, {.policy = "lifo"}); }).find("is no policy"),
            std::string::npos);
  EXPECT_NE(error_of([&] { plan(drawn, cluster, {.slots = 0}); }).find("slot"), std::string::npos);
}

TEST(Planner, JobAndLayerThatCannotFitAreNamed) {
  const auto drawn = even(1, 4);
  const std::string error = error_of([&] { plan(drawn, instances::devices(2, 100), {}); });
  EXPECT_EQ(
      error.find("job0: spill with 2 slots per device: a shard of layer 0 (block) alone needs "),
      0u)
      << error;
  Cluster own = instances::devices(2, 100);
  own.devices[0].buffer_slots = 3;
  const std::string of_device = error_of([&] { plan(drawn, own, {}); });
  EXPECT_EQ(of_device.find("job0: spill with 2 slots per device that has no buffer_slots: "), 0u)
      << of_device;
}

TEST(Planner, EveryUsualChoiceThatFitsRunsToItsEnd) {
  const auto drawn = even(4, 8);
  const Cluster cluster = instances::devices(2, 2 * peak(drawn, 0, 8), {Duration{3}, 1e9}, 0);
  const auto made = make_plans(drawn.workload, cluster, drawn.profile, usual_choices());
  const auto policies = known_policies();
  const auto usual = std::ranges::count_if(policies, &PolicyInfo::usual);
  EXPECT_EQ(made.size(), static_cast<std::size_t>(usual) + 4);
  for (const PlannedChoice& each : made) {
    ASSERT_TRUE(each.plan) << each.note;
    const Program program = lower(drawn.workload, cluster, drawn.profile, *each.plan);
    EstimatedCosts costs(program);
    const auto policy = make_policy(each.plan->policy, program.jobs.size(), each.plan->seed);
    const Outcome outcome = simulate(program, cluster, *policy, costs, nullptr);
    for (const JobEnd& job : outcome.jobs) EXPECT_TRUE(job.completed) << each.plan->name;
  }
}

}  // namespace
}  // namespace shardlab
