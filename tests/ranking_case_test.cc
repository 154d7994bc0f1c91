#include "validate/ranking_case.h"

#include <set>

#include <gtest/gtest.h>

#include "policies/planner.h"
#include "policies/registry.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "sched/shard_cost.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

Program lowered(const RankingCase& drawn, const Cluster& cluster) {
  PlanChoice choice;
  choice.slots = kRankingSlots;
  return lower(drawn.workload, cluster, drawn.profile,
               make_plan(drawn.workload, drawn.cluster, drawn.profile, choice));
}

Outcome simulated(const Program& program, const Cluster& cluster) {
  const auto policy = make_policy("lrtf", program, 1);
  EstimatedCosts costs(program);
  return simulate(program, cluster, *policy, costs, nullptr);
}

/// Of the models that CPU cases are made of: 10 ms a layer.
Profile made_up_profile() {
  Profile profile;
  for (const Job& job : ranking_models("").jobs) {
    ModelProfile model{job.model, job.batch, job.optimizer.kind, {}};
    for (int l = 0; l < job.model.layers + 2; ++l) {
      LayerCost layer;
      for (Measured LayerTimes::*phase : {&LayerTimes::forward, &LayerTimes::recompute,
                                          &LayerTimes::backward, &LayerTimes::step}) {
        (layer.loaded.*phase).median = std::chrono::milliseconds(10);
      }
      layer.alone = layer.loaded;
      layer.parameters = 400'000;
      layer.state = 800'000;
      layer.output = 10'000;
      model.layers.push_back(layer);
    }
    profile.models.push_back(model);
  }
  return profile;
}

RankingCase draw(bool emulated, std::uint64_t seed, int number) {
  return emulated ? draw_emulated_case(seed, number)
                  : draw_cpu_case(seed, number, made_up_profile(), "");
}

TEST(RankingCase, FitsItsDevicesAndTakesASecondButDoesNotFitAsAWhole) {
  for (const bool emulated : {false, true}) {
    for (int number = 0; number < 40; ++number) {
      const RankingCase drawn = draw(emulated, 1, number);
      SCOPED_TRACE(drawn.name);
      const Program program = lowered(drawn, drawn.cluster);
      refuse_what_cannot_fit(program, drawn.cluster);
      const Outcome outcome = simulated(program, drawn.cluster);
      const double makespan = seconds(outcome.makespan);
      EXPECT_GT(makespan, emulated ? 0.45 : 0.5);
      EXPECT_LT(makespan, emulated ? 2 : 4);
      EXPECT_GT(outcome.promoted, 0);
    }
  }
}

TEST(RankingCase, DependsOnSeedAndNumberAlone) {
  for (const bool emulated : {false, true}) {
    std::set<Instant> makespans;
    for (const auto& [seed, number] : {std::pair{1U, 0}, {1U, 1}, {2U, 0}, {2U, 1}}) {
      const RankingCase one = draw(emulated, seed, number), same = draw(emulated, seed, number);
      const Instant makespan = simulated(lowered(one, one.cluster), one.cluster).makespan;
      EXPECT_EQ(makespan, simulated(lowered(same, same.cluster), same.cluster).makespan);
      makespans.insert(makespan);
    }
    EXPECT_EQ(makespans.size(), 4U);
  }
}

TEST(RankingCase, DevicesHaveSeveralSpeedsWhereTheyAreEmulated) {
  int mixed = 0;
  for (int number = 0; number < 20; ++number) {
    std::set<double> speeds;
    for (const DeviceSpec& device : draw(true, 1, number).cluster.devices) {
      speeds.insert(device.speed);
    }
    if (speeds.size() > 1) ++mixed;
  }
  EXPECT_EQ(mixed, 20);
}

TEST(ComputingAlone, MovesNothingAndRunsTheSameUnits) {
  for (int number = 0; number < 10; ++number) {
    const RankingCase drawn = draw(true, 3, number);
    const Program program = lowered(drawn, drawn.cluster);
    const Outcome bare = simulated(computing_alone(program), computing_alone(drawn.cluster));
    EXPECT_EQ(bare.promoted + bare.demoted, 0);
    EXPECT_EQ(bare.units, simulated(program, drawn.cluster).units);
  }
}

}  // namespace
}  // namespace shardlab
