// Optimizer steps on the host: exact answers, and where they are cheaper.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policies/bounds.h"
#include "policies/registry.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "sched/step_place.h"
#include "sim/drawn_costs.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "traces/chrome_trace.h"
#include "traces/timeline_file.h"

namespace shardlab {
namespace {

/// A byte per nanosecond each way.
const LinkSpec kLink{{}, 1e9};
constexpr std::int64_t kHostStep = 7;

Measured takes(std::int64_t ns) { return {Duration{ns}, {}, 1}; }

/// 10 bytes of parameters, 20 of state; a forward of 2 ns, recorded 3, a backward of 4, a step of 5
/// on the device.
LayerCost layer() {
  LayerCost made;
  made.name = "layer";
  for (LayerTimes* times : {&made.alone, &made.loaded}) {
    *times = {takes(2), takes(3), takes(4), takes(5)};
  }
  made.parameters = 10;
  made.state = 20;
  made.output = 1;
  made.host_step = takes(kHostStep);
  return made;
}

/// Jobs of so many shards that spill.
instances::Case jobs(int count, int shards, std::int64_t minibatches, StepPlace step) {
  instances::Case made;
  made.plan.slots = 1;
  for (int j = 0; j < count; ++j) {
    Job job;
    job.name = std::string(1, static_cast<char>('A' + j));
    job.model = {Architecture::kMlp, j + 1, 1, 1, 1, 0};
    job.batch = 1;
    job.minibatches = minibatches;
    ModelProfile model{job.model, 1, job.optimizer.kind, {}};
    JobPlan plan;
    plan.step = step;
    for (int s = 0; s < shards; ++s) {
      model.layers.push_back(layer());
      plan.first_layer.push_back(s);
    }
    made.workload.jobs.push_back(job);
    made.profile.models.push_back(model);
    made.plan.jobs.push_back(plan);
  }
  return made;
}

Program lowered(const instances::Case& from, const Cluster& cluster) {
  return lower(from.workload, cluster, from.profile, from.plan);
}

struct Ran {
  Outcome outcome;
  Timeline timeline;
};

Ran ran(const instances::Case& from, const Cluster& cluster) {
  const Program program = lowered(from, cluster);
  EstimatedCosts costs(program);
  const auto policy = make_policy("fifo", program.jobs.size(), 1);
  Ran made;
  made.outcome = simulate(program, cluster, *policy, costs, &made.timeline);
  EXPECT_GE(made.outcome.makespan.time_since_epoch(), bounds(program, cluster).greatest());
  return made;
}

std::int64_t makespan(const instances::Case& from, const Cluster& cluster) {
  return ran(from, cluster).outcome.makespan.time_since_epoch().count();
}

// Parameters come (10), a unit runs (3 + 4), its gradient goes home (10), the host steps (7): 34 ns
// a minibatch, as the next one needs the new parameters. On the device: parameters and state come
// (30), two units run (12 each), both go home (30).
TEST(HostStep, AMinibatchAwaitsTheStepOfTheOneBefore) {
  const Cluster one = instances::devices(1, kUnlimited, kLink, 2);
  EXPECT_EQ(makespan(jobs(1, 1, 1, StepPlace::kHost), one), 34);
  EXPECT_EQ(makespan(jobs(1, 1, 2, StepPlace::kHost), one), 68);
  EXPECT_EQ(makespan(jobs(1, 1, 2, StepPlace::kDevice), one), 84);
}

TEST(HostStep, TheHostStepsOneAfterTheOther) {
  const Cluster two = instances::devices(2, kUnlimited, kLink, 2);
  const Ran both = ran(jobs(2, 1, 1, StepPlace::kHost), two);
  EXPECT_EQ(both.outcome.jobs[0].at, Instant{Duration{34}});
  EXPECT_EQ(both.outcome.jobs[1].at, Instant{Duration{41}});
  ASSERT_EQ(both.timeline.copies.size(), 4u);
  const CopySpan& second = both.timeline.copies.back();
  EXPECT_EQ(second.link_to, Instant{Duration{27}});
  EXPECT_EQ(second.step_from, Instant{Duration{34}});
  EXPECT_EQ(second.done, Instant{Duration{41}});
}

TEST(HostStep, NoiseVariesIt) {
  const Cluster one = instances::devices(1, kUnlimited, kLink, 2);
  const Program program = lowered(jobs(1, 1, 1, StepPlace::kHost), one);
  Noise noise;
  noise.host_steps = Resampled({2.0});
  EstimatedCosts estimates(program);
  DrawnCosts costs(estimates, program, noise, 1, 0);
  Timeline timeline;
  simulate(program, one, *make_policy("fifo", 1, 1), costs, &timeline);
  EXPECT_EQ(timeline.makespan, Instant{Duration{34 + kHostStep}});
  EXPECT_EQ(timeline.copies.back().done - timeline.copies.back().step_from,
            Duration{2 * kHostStep});
}

TEST(HostStep, EachNodeHasAHost) {
  instances::Case made = jobs(2, 1, 1, StepPlace::kHost);
  Cluster two = instances::devices(2, kUnlimited, kLink, 2);
  two.devices[1].node = "other";
  two.network = kLink;
  for (std::size_t j = 0; j < 2; ++j) {
    made.plan.jobs[j].strategy = Strategy::kModelParallel;
    made.plan.jobs[j].device = {device_id(j)};
  }
  EXPECT_EQ(makespan(made, two), 34);
}

// A lane that copies itself: there 10 after the link, back 10 before it.
TEST(HostStep, TheLaneIsFreeWhileTheHostSteps) {
  instances::Case made = jobs(1, 1, 1, StepPlace::kHost);
  made.profile.alone.copy = made.profile.loaded.copy = {{}, 1e9};
  EXPECT_EQ(makespan(made, instances::devices(1, kUnlimited, kLink, 0)), 54);
  const Ran unpaced = ran(made, instances::devices(1, kUnlimited, {}, 0));
  EXPECT_EQ(unpaced.outcome.makespan, Instant{Duration{34}});
  EXPECT_EQ(unpaced.outcome.lanes[0].copying, Duration{20});
}

TEST(HostStep, StateNeverMovesAndNeedsNoRoom) {
  const Cluster one = instances::devices(1, kUnlimited, kLink, 2);
  const Ran host = ran(jobs(1, 2, 3, StepPlace::kHost), one);
  for (const CopySpan& span : host.timeline.copies) EXPECT_NE(span.item, ItemKind::kState);
  const Ran device = ran(jobs(1, 2, 3, StepPlace::kDevice), one);
  EXPECT_EQ(host.outcome.host_peak, device.outcome.host_peak);
  EXPECT_EQ(device.outcome.peak[0] - host.outcome.peak[0], 2 * 20);
}

TEST(HostStep, WhatIsHeldSetsNoStateAside) {
  instances::Case made = jobs(1, 1, 2, StepPlace::kHost);
  made.plan.jobs[0].strategy = Strategy::kResident;
  const Cluster one = instances::devices(1, kUnlimited, kLink, 2);
  const Program host = lowered(made, one);
  made.plan.jobs[0].step = StepPlace::kDevice;
  const Program device = lowered(made, one);
  EXPECT_EQ(device.jobs[0].peak[0] - host.jobs[0].peak[0], 20);
  made.plan.jobs[0].step = StepPlace::kHost;
  EXPECT_EQ(makespan(made, one), 68);
}

// 3 minibatches of 2 shards: up 2, down 2 - but what was read on the way up may be kept; every
// gradient goes home, and the parameters come again. 2 x 10 x 3 each way.
TEST(HostStep, BoundsKnowThatGradientsGoHomeEveryTime) {
  const Cluster one = instances::devices(1, kUnlimited, kLink, 2);
  const Bounds found = bounds(lowered(jobs(1, 2, 3, StepPlace::kHost), one), one);
  EXPECT_EQ(found.link, Duration{60});
  // Parameters of the first shard (10), three times 2 + 7 + 7, home (10), a step (7).
  EXPECT_EQ(found.chain, Duration{10 + 3 * 16 + 17});
}

std::vector<bool> chosen(const instances::Case& from, const Cluster& cluster) {
  return shards_on_host(lowered(from, cluster).jobs[0]);
}

// On the device 5, state 20 there and back, parameters 10 back: 55; on the host a gradient of 10.
TEST(CheaperStep, IsByTheProfileAndTheLinks) {
  const std::vector<bool> none, all{true};
  const Cluster one = instances::devices(1, kUnlimited, kLink, 2);
  instances::Case made = jobs(1, 1, 1, StepPlace::kCheaper);
  std::optional<Measured>& step = made.profile.models[0].layers[0].host_step;
  for (const auto& [ns, where] : {std::pair{44, all}, std::pair{45, none}}) {
    step = takes(ns);
    EXPECT_EQ(chosen(made, one), where) << ns;
  }
  // By a link without limits the steps alone count, and by lanes their own copies.
  const Cluster quick = instances::devices(1, kUnlimited, {}, 2);
  for (const auto& [ns, where] : {std::pair{4, all}, std::pair{5, none}}) {
    step = takes(ns);
    EXPECT_EQ(chosen(made, quick), where) << ns;
  }
  made.profile.alone.copy = {{}, 1e9};
  step = takes(44);
  EXPECT_EQ(chosen(made, instances::devices(1, kUnlimited, {}, 0)), all);
  // Bound, parameters and state would stay: 5, against parameters there and back.
  made.plan.jobs[0].strategy = Strategy::kModelParallel;
  made.plan.jobs[0].device = {DeviceId{0}};
  step = takes(1);
  EXPECT_EQ(chosen(made, one), none);
  made.profile.models[0].layers[0].alone.step = takes(22);
  EXPECT_EQ(chosen(made, one), all);
}

TEST(CheaperStep, IsChosenShardByShard) {
  instances::Case made = jobs(1, 3, 1, StepPlace::kCheaper);
  made.profile.models[0].layers[1].host_step = takes(1000);
  const Cluster one = instances::devices(1, kUnlimited, kLink, 2);
  EXPECT_EQ(chosen(made, one), (std::vector<bool>{true, false, true}));
}

TEST(CheaperStep, IsTheDevicesWhereItsCoresAreTheHostsOrNothingIsKnown) {
  instances::Case made = jobs(1, 1, 1, StepPlace::kCheaper);
  Cluster two = instances::devices(2, kUnlimited, kLink, 2);
  EXPECT_FALSE(chosen(made, two).empty());
  two.devices[1].kind = "cpu";
  EXPECT_TRUE(chosen(made, two).empty());
  two.devices[1].kind = "test";
  made.profile.models[0].layers[0].host_step.reset();
  EXPECT_TRUE(chosen(made, two).empty());
}

TEST(CheaperStep, IsThatOfAllDevicesThatMayRunTheShard) {
  instances::Case made = jobs(1, 1, 1, StepPlace::kCheaper);
  made.profile.models[0].layers[0].host_step = takes(46);  // 46 + 10 against 55.
  Cluster two = instances::devices(2, kUnlimited, kLink, 2);
  EXPECT_TRUE(chosen(made, two).empty());
  two.devices[1].speed = 0.5;  // A step of 10: 60 there.
  EXPECT_FALSE(chosen(made, two).empty());
}

// As the unit of every class then has no step.
TEST(HostStep, IsTakenOutOfTheUnitsOfAllKindsOfDevices) {
  instances::Case made = jobs(1, 1, 1, StepPlace::kHost);
  Cluster two = instances::devices(2, kUnlimited, kLink, 2);
  two.devices[1].speed = 0.5;
  const Program program = lowered(made, two);
  EXPECT_EQ(times_of(program, 0, JobId{0}, 0).alone.total, Duration{7});
  EXPECT_EQ(times_of(program, 1, JobId{0}, 0).alone.total, Duration{14});
}

TEST(HostStep, IsRefusedWhereItCannotBe) {
  const Cluster two = instances::devices(2, kUnlimited, kLink, 2);
  const auto refusal = [](const instances::Case& made, const Cluster& cluster) {
    return error_of([&] { (void)lowered(made, cluster); });
  };
  const instances::Case spill = jobs(1, 2, 1, StepPlace::kHost);
  instances::Case made = spill;
  made.profile.models[0].layers[1].host_step.reset();
  made.profile.path = "profile.json";
  EXPECT_EQ(refusal(made, two),
            "A: optimizer_step: the profile profile.json does not know what a step on the host "
            "takes (host_step_ns of a layer of shard 1); profile again, or step on the device");
  made = spill;
  made.plan.jobs[0].strategy = Strategy::kGpipe;
  made.plan.jobs[0].device = {DeviceId{0}, DeviceId{1}};
  EXPECT_NE(refusal(made, two).find("A: optimizer_step: \"host\" is not for gpipe"),
            std::string::npos);
  Cluster other = two;
  other.disk.emplace();
  EXPECT_NE(refusal(spill, other).find("disk"), std::string::npos);
  other = two;
  other.devices[1].node = "other";
  other.network = kLink;
  EXPECT_NE(refusal(spill, other).find("several nodes"), std::string::npos);
  made = spill;
  made.plan.jobs[0].step = StepPlace::kCheaper;
  EXPECT_TRUE(chosen(made, other).empty());
}

TEST(HostStep, IsInTimelineAndTrace) {
  const Cluster one = instances::devices(1, kUnlimited, kLink, 2);
  const Timeline timeline = ran(jobs(1, 1, 1, StepPlace::kHost), one).timeline;
  const Timeline read = parse_timeline(timeline_json(timeline));
  ASSERT_EQ(read.copies.size(), 2u);
  EXPECT_EQ(read.copies[0].step_from, Instant{});
  EXPECT_EQ(read.copies[1].step_from, Instant{Duration{27}});
  const Timeline* drawn = &timeline;
  const std::string trace = chrome_trace_json({&drawn, 1});
  EXPECT_NE(trace.find("\"host optimizer\""), std::string::npos);
  EXPECT_NE(trace.find(R"("ts":0.027,"dur":0.007,"name":"A step 0")"), std::string::npos);
  const Timeline without = ran(jobs(1, 1, 1, StepPlace::kDevice), one).timeline;
  EXPECT_EQ(timeline_json(without).find("step_from"), std::string::npos);
  drawn = &without;
  EXPECT_EQ(chrome_trace_json({&drawn, 1}).find("host optimizer"), std::string::npos);
}

}  // namespace
}  // namespace shardlab
