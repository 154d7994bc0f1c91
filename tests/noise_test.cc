#include "sim/noise.h"

#include <cmath>
#include <cstdint>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "sched/lower.h"
#include "tests/error_of.h"
#include "tests/hand_made.h"
#include "tests/instances.h"

namespace shardlab {
namespace {

constexpr double kQuartiles = 1.3489795003921634;  // Of a standard normal distribution, apart.

/// One job of two layers, of times and quartile distances 1000 and 30, 2000 and 40 in every phase,
/// in one shard or two.
instances::Case two_layers(int shards) {
  instances::Case made = instances::draw({1, 2}, 1);
  auto& layers = made.profile.models[0].layers;
  for (std::size_t l = 0; l < 2; ++l) {
    for (LayerTimes* times : {&layers[l].alone, &layers[l].loaded}) {
      for (Measured* each : {&times->forward, &times->recompute, &times->backward, &times->step}) {
        *each = {Duration{l == 0 ? 1000 : 2000}, Duration{l == 0 ? 30 : 40}, 9};
      }
    }
  }
  made.plan.jobs[0].first_layer.resize(static_cast<std::size_t>(shards));
  return made;
}

Noise profiled(const instances::Case& made, Layers layers) {
  const Program program = lower(made.workload, instances::devices(2), made.profile, made.plan);
  return profiled_noise(made.workload, made.profile, made.plan, program, layers);
}

/// Of a lognormal ratio.
double cv(const Ratio& ratio) {
  const double sigma = -std::log(std::get<Lognormal>(ratio)(0.5)) * 2;
  return std::sqrt(std::expm1(sigma));
}

TEST(Noise, SpreadsOfLayersAddAsVariancesOrTogether) {
  const auto made = two_layers(1);  // Its only unit is recomputation, backward and step.
  const UnitRun unit;
  EXPECT_NEAR(cv(profiled(made, Layers::kIndependent).of(unit, UnitKind::kFused)),
              std::sqrt(3.0) * 50 / 9000 / kQuartiles, 1e-9);
  EXPECT_NEAR(cv(profiled(made, Layers::kTogether).of(unit, UnitKind::kFused)),
              3.0 * 70 / 9000 / kQuartiles, 1e-9);
}

TEST(Noise, AUnitHasTheSpreadOfItsOwnLayersAndPhases) {
  const Noise noise = profiled(two_layers(2), Layers::kTogether);
  UnitRun run;
  EXPECT_NEAR(cv(noise.of(run, UnitKind::kForward)), 30.0 / 1000 / kQuartiles, 1e-9);
  run.unit = 1;
  EXPECT_NEAR(cv(noise.of(run, UnitKind::kFused)), 40.0 / 2000 / kQuartiles, 1e-9);
}

TEST(Noise, AloneAndLoadedHaveTheirOwnSpread) {
  auto made = two_layers(1);
  for (auto& layer : made.profile.models[0].layers) {
    for (Measured* each : {&layer.alone.recompute, &layer.alone.backward, &layer.alone.step}) {
      each->spread = Duration{};
    }
  }
  const Noise noise = profiled(made, Layers::kIndependent);
  UnitRun run;
  EXPECT_TRUE(std::holds_alternative<Fixed>(noise.of(run, UnitKind::kFused)));
  run.loaded = true;
  EXPECT_GT(cv(noise.of(run, UnitKind::kFused)), 0);
}

TEST(Noise, AStepApartHasItsOwnSpreadAndTheBackwardNoneOfIt) {
  auto made = two_layers(2);
  for (auto& layer : made.profile.models[0].layers) layer.loaded.step.spread = Duration{500};
  JobPlan& plan = made.plan.jobs[0];
  plan.strategy = Strategy::kGpipe;
  plan.microbatches = 2;
  made.workload.jobs[0].batch = 2;
  plan.device = {device_id(0), device_id(1)};
  const Program program = lower(made.workload, instances::devices(2), made.profile, made.plan);
  const Noise noise = profiled(made, Layers::kTogether);
  int steps = 0;
  for (std::uint32_t u = 0; u < program.jobs[0].units.size(); ++u) {
    const Unit& unit = program.jobs[0].units[u];
    const double median = unit.shard == 0 ? 1000 : 2000, spread = unit.shard == 0 ? 30 : 40;
    UnitRun run;
    run.unit = u;
    run.loaded = true;
    const double expected = unit.kind == UnitKind::kStep ? 500 / median : spread / median;
    EXPECT_NEAR(cv(noise.of(run, unit.kind)), expected / kQuartiles, 1e-9) << to_string(unit.kind);
    steps += unit.kind == UnitKind::kStep ? 1 : 0;
  }
  EXPECT_EQ(steps, 2);
}

TEST(Noise, AStepOnTheHostHasTheSpreadOfItsShardsLayers) {
  auto made = two_layers(2);
  made.profile.models[0].layers[0].host_step = Measured{Duration{500}, Duration{50}, 9};
  made.profile.models[0].layers[1].host_step = Measured{Duration{800}, Duration{40}, 9};
  const Noise noise = profiled(made, Layers::kTogether);
  EXPECT_NEAR(cv(noise.of_host_step(job_id(0), 0)), 0.1 / kQuartiles, 1e-9);
  EXPECT_NEAR(cv(noise.of_host_step(job_id(0), 1)), 0.05 / kQuartiles, 1e-9);
  const Noise unknown = profiled(two_layers(2), Layers::kTogether);
  EXPECT_TRUE(std::holds_alternative<Fixed>(unknown.of_host_step(job_id(0), 0)));
}

/// Forwards of 8, 10, 12 and 20 ns, backwards of 100, 100 and 50; two promotions are too few.
HandMade measured() {
  HandMade made({"a"}, {"d"}, 1000);
  for (const int time : {8, 10, 12, 20}) made.unit(0, 0, UnitKind::kForward, 0, time);
  for (const int time : {100, 100, 50}) made.unit(0, 0, UnitKind::kBackward, 0, time).unit = 1;
  for (const int time : {2, 4, 6}) made.lane_copy(0, 0, Direction::kDemote, 1, 0, time);
  for (const int time : {2, 4}) made.lane_copy(0, 0, Direction::kPromote, 1, 0, time);
  return made;
}

TEST(Noise, MeasuredUnitsAreRatiosToTheirMedianByKind) {
  const auto noise = measured_unit_noise(measured().timeline);
  EXPECT_EQ(std::get<Resampled>(noise[0]).ratios(),
            (std::vector<double>{8.0 / 12, 10.0 / 12, 1, 20.0 / 12}));
  EXPECT_EQ(std::get<Resampled>(noise[1]).ratios(), (std::vector<double>{0.5, 1, 1}));
  EXPECT_EQ(std::get<Resampled>(noise[2]).ratios().size(), 7U) << "no fused unit: those of all";
}

TEST(Noise, MeasuredCopiesAreRatiosByDirectionOrFixed) {
  const auto noise = measured_copy_noise(measured().timeline);
  EXPECT_EQ(std::get<Resampled>(noise[1]).ratios(), (std::vector<double>{0.5, 1, 1.5}));
  EXPECT_TRUE(std::holds_alternative<Fixed>(noise[0]));
}

TEST(Noise, MeasuredHostStepsAreRatiosToTheirShardsMedian) {
  HandMade made({"a"}, {"d"}, 1000);
  int at = 100;
  const auto gradient = [&](std::int32_t shard, int step) {
    CopySpan& copy = made.lane_copy(0, 0, Direction::kDemote, 1, 0, 5);
    copy.shard = shard;
    copy.step_from = Instant{Duration{at}};
    copy.done = Instant{Duration{at += step}};
  };
  EXPECT_TRUE(std::holds_alternative<Fixed>(measured_host_step_noise(made.timeline)));
  for (const int step : {10, 20, 30}) gradient(0, step);
  for (const int step : {40, 40, 60}) gradient(1, step);
  for (const int step : {1, 2}) gradient(2, step);
  const Ratio noise = measured_host_step_noise(made.timeline);
  EXPECT_EQ(std::get<Resampled>(noise).ratios(), (std::vector<double>{0.5, 1, 1, 1, 1.5, 1.5}));
}

TEST(Noise, ATimelineOfTwoMinibatchesSaysWhatItLacks) {
  HandMade made({"a"}, {"d"}, 1000);
  for (const int time : {8, 10}) made.unit(0, 0, UnitKind::kForward, 0, time);
  EXPECT_EQ(error_of([&] { measured_unit_noise(made.timeline); }).find("no unit ran in three"), 0U);
}

}  // namespace
}  // namespace shardlab
