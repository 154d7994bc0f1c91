#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policies/planner.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "sched/stage_order.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/timeline_check.h"

/// Pipelines, replicas and gathered parameters: lowered, simulated, and held against closed forms.
namespace shardlab {
namespace {

constexpr std::int64_t kForward = 3, kBackward = 5;

/// One job of `layers` equal layers, with costs for every batch up to 64 that a plan may ask for.
instances::Case uniform(int layers, int batch, std::int64_t minibatches) {
  instances::Shape shape{.jobs = 1, .shards = layers, .minibatches = minibatches};
  instances::Case drawn = instances::draw(shape, 1);
  drawn.workload.jobs[0].batch = batch;
  ModelProfile entry = drawn.profile.models[0];
  drawn.profile.models.clear();
  for (entry.batch = 1; entry.batch <= 64; ++entry.batch) {
    for (LayerCost& layer : entry.layers) {
      layer.loaded = {};
      layer.loaded.forward.median = layer.loaded.recompute.median = Duration{kForward};
      layer.loaded.backward.median = Duration{kBackward};
      layer.alone = layer.loaded;
      layer.output = 0;
      layer.saved = 100;
      layer.parameters = layer.state = 10;
      layer.forward_workspace = layer.backward_workspace = 0;
    }
    drawn.profile.models.push_back(entry);
  }
  return drawn;
}

struct Simulated {
  Program program;
  Outcome outcome;
  Timeline timeline;
};

Simulated simulated(const instances::Case& drawn, const Cluster& cluster,
                    const std::string& strategy, bool recompute = false) {
  PlanChoice choice;
  choice.strategy = parse_strategy_choice(strategy);
  choice.recompute = recompute;
  choice.slots = 1;
  const Plan plan = make_plan(drawn.workload, cluster, drawn.profile, choice);
  Simulated run{lower(drawn.workload, cluster, drawn.profile, plan), {}, {}};
  const auto policy = make_policy("lrtf", track_count(run.program), 1);
  EstimatedCosts costs(run.program);
  run.outcome = simulate(run.program, cluster, *policy, costs, &run.timeline);
  expect_valid(run.timeline, run.program);
  return run;
}

std::int64_t makespan(const Simulated& run) {
  return run.outcome.makespan.time_since_epoch().count();
}

TEST(Pipeline, OfEqualStagesTakesFillingAndDraining) {
  for (const int stages : {1, 2, 3, 4}) {
    for (const int microbatches : {1, 2, 4, 8}) {
      const instances::Case drawn = uniform(stages, 8, 1);
      const Cluster cluster = instances::devices(static_cast<std::size_t>(stages));
      for (const std::string name : {"gpipe", "one_f_one_b"}) {
        const std::string strategy =
            name + "(" + std::to_string(stages) + "," + std::to_string(microbatches) + ")";
        SCOPED_TRACE(strategy);
        const Simulated run = simulated(drawn, cluster, strategy);
        EXPECT_EQ(makespan(run), (microbatches + stages - 1) * (kForward + kBackward));
      }
    }
  }
}

TEST(Pipeline, OfUnevenStagesIsPacedByTheLongest) {
  instances::Case drawn = uniform(3, 8, 1);
  for (ModelProfile& entry : drawn.profile.models) {
    entry.layers[1].loaded.recompute.median = entry.layers[1].alone.recompute.median = Duration{9};
    entry.layers[2].loaded.backward.median = entry.layers[2].alone.backward.median = Duration{11};
  }
  const Simulated run = simulated(drawn, instances::devices(3), "gpipe(3,8)");
  EXPECT_EQ(makespan(run), (3 + 9 + 3) + 7 * 9 + (5 + 5 + 11) + 7 * 11);
}

TEST(Pipeline, HoldsAsManyMicrobatchesAsItsOrderNeeds) {
  const instances::Case drawn = uniform(4, 8, 1);
  const Cluster cluster = instances::devices(4, 1 << 20);
  const Simulated all = simulated(drawn, cluster, "gpipe(4,8)");
  const Simulated few = simulated(drawn, cluster, "one_f_one_b(4,8)");
  for (std::size_t s = 0; s + 1 < 4; ++s) {
    EXPECT_EQ(all.outcome.peak[s] - few.outcome.peak[s],
              100 * (8 - std::min<Bytes>(4 - static_cast<Bytes>(s), 8)));
  }
}

TEST(Pipeline, InterleavedShrinksTheBubbleByItsChunks) {
  const instances::Case drawn = uniform(8, 8, 1);
  const Cluster cluster = instances::devices(4);
  const std::int64_t plain = makespan(simulated(drawn, cluster, "one_f_one_b(4,8)"));
  const std::int64_t dealt = makespan(simulated(drawn, cluster, "interleaved(4,8,2)"));
  EXPECT_EQ(plain, (8 + 3) * 2 * (kForward + kBackward));
  EXPECT_EQ(dealt, (8 * 2 + 3) * (kForward + kBackward));  // arXiv 2104.04473, §2.2.
}

/// Two stages, an activation and a gradient of 100 bytes at 1 byte a ns.
TEST(Pipeline, HandsActivationsOverByWhatJoinsTheDevices) {
  instances::Case drawn = uniform(2, 2, 1);
  for (ModelProfile& entry : drawn.profile.models) entry.layers[0].output = 100;
  Cluster cluster = instances::devices(2, 1 << 20, {Duration{}, 1e9}, 2);
  // Parameters come first, state beside the activation; both go back.
  const std::int64_t rest = 10 + 2 * (kForward + kBackward) + 20;
  // Up to the host and down again, activation and gradient.
  const Simulated by_host = simulated(drawn, cluster, "gpipe(2,1)");
  EXPECT_EQ(makespan(by_host), rest + 4 * 100);
  for (DeviceSpec& device : cluster.devices) device.peer = LinkSpec{Duration{7}, 1e9};
  const Simulated straight = simulated(drawn, cluster, "gpipe(2,1)");
  EXPECT_EQ(makespan(straight), rest + 2 * (7 + 100));
  EXPECT_EQ(straight.outcome.between_devices, 200);
  cluster.devices[1].node = "other";
  EXPECT_NE(error_of([&] { simulated(drawn, cluster, "gpipe(2,1)"); }).find("network"),
            std::string::npos);
  cluster.network = LinkSpec{Duration{50}, 5e8};
  EXPECT_EQ(makespan(simulated(drawn, cluster, "gpipe(2,1)")), rest + 2 * (50 + 200));
}

TEST(Pipeline, RunsMinibatchAfterMinibatch) {
  const instances::Case drawn = uniform(3, 4, 5);
  const Simulated run = simulated(drawn, instances::devices(3), "one_f_one_b(3,4)");
  EXPECT_EQ(run.outcome.jobs[0].minibatches, 5);
  EXPECT_LE(makespan(run), 5 * (4 + 2) * (kForward + kBackward));
  EXPECT_GE(makespan(run), 5 * 4 * (kForward + kBackward));
}

TEST(Replicas, StepOnceAllHaveReducedTheirGradients) {
  instances::Case drawn = uniform(2, 8, 3);
  Cluster cluster = instances::devices(4);
  for (DeviceSpec& device : cluster.devices) device.peer = LinkSpec{Duration{2}, 1e9};
  const Simulated run = simulated(drawn, cluster, "data_parallel(2,gpipe(2,4))");
  // 10 bytes in two halves: 2 (r - 1) steps of 2 ns and 5 bytes, each; see all_reduce_time.
  const std::int64_t reduction = 2 * (2 + 5), hand_overs = 2 * 2;
  EXPECT_EQ(makespan(run), 3 * ((4 + 1) * (kForward + kBackward) + hand_overs + reduction));
}

TEST(Replicas, OfAResidentModelTakeTheirShareOfTheBatch) {
  const instances::Case drawn = uniform(2, 8, 1);
  const Cluster cluster = instances::devices(2);
  const Simulated run = simulated(drawn, cluster, "data_parallel(2)");
  EXPECT_EQ(makespan(run), 2 * (kForward + kBackward));
  EXPECT_EQ(run.program.jobs[0].tracks.size(), 2u);
}

TEST(ZeroOffload, GathersEveryShardFromTheHostOnEveryDevice) {
  const instances::Case drawn = uniform(4, 8, 3);
  const Cluster cluster = instances::devices(2, 1 << 20, {Duration{1}, 1e9});
  const Simulated run = simulated(drawn, cluster, "zero_offload(2)", true);
  EXPECT_EQ(run.outcome.jobs[0].minibatches, 3);
  const auto gathered = std::count_if(
      run.timeline.copies.begin(), run.timeline.copies.end(), [](const CopySpan& span) {
        return span.item == ItemKind::kParameters && span.direction == Direction::kPromote;
      });
  EXPECT_EQ(gathered, 2 * 4 + 2 * 4);  // An owner still has what it stepped, the other does not.
}

TEST(Pipelines, OfSeveralJobsShareTheDevicesInGroups) {
  instances::Case drawn = uniform(2, 4, 2);
  drawn.workload.jobs.push_back(drawn.workload.jobs[0]);
  drawn.workload.jobs[1].name = "other";
  const Cluster cluster = instances::devices(4);
  const Simulated both = simulated(drawn, cluster, "gpipe(2,4)");
  drawn.workload.jobs.pop_back();
  EXPECT_EQ(makespan(both), makespan(simulated(drawn, cluster, "gpipe(2,4)")));
}

TEST(Strategies, ReadBackAsTheyAreWritten) {
  for (const std::string text :
       {"spill", "resident", "model_parallel", "gpipe(4,8)", "one_f_one_b(0,16)",
        "interleaved(4,8,2)", "zero_offload(4)", "data_parallel(2,resident)",
        "data_parallel(8,one_f_one_b(2,4))"}) {
    EXPECT_EQ(to_string(parse_strategy_choice(text)), text);
  }
  EXPECT_EQ(parse_strategy_choices("spill, gpipe(4, 8),data_parallel(2)").size(), 3u);
  EXPECT_EQ(to_string(parse_strategy_choice("data_parallel(2,spill)")), "zero_offload(2)");
  EXPECT_EQ(to_string(parse_strategy_choice("data_parallel(2,zero_offload(3))")),
            "zero_offload(6)");
  for (const std::string text : {"", "gpipe", "gpipe(4)", "gpipe(4,0)", "spill(2)", "gpipe(4,x)",
                                 "data_parallel(2,data_parallel(2))", "gpipe(4,8",
                                 "data_parallel(0)", "data_parallel(4096,zero_offload(2))"}) {
    EXPECT_NE(error_of([&] { parse_strategy_choice(text); }), "no error") << text;
  }
}

TEST(Strategies, ThatCannotBeAreRefusedWithAReason) {
  const instances::Case drawn = uniform(4, 8, 1);
  const auto error = [&](const std::string& strategy) {
    return error_of([&] { simulated(drawn, instances::devices(2), strategy); });
  };
  EXPECT_EQ(error("gpipe(4,2)"), "job0: gpipe(4,2) needs 4 devices, the cluster has 2");
  EXPECT_EQ(error("gpipe(2,3)"),
            "job0: gpipe(2,3): batch 8 is no multiple of 3 microbatches in 1 replicas");
  EXPECT_NE(error("interleaved(2,1,2)"), "no error");
}

TEST(Units, ThatWaitForEachOtherInACircleAreRefused) {
  JobProgram job;
  job.name = "job";
  job.units.resize(2);
  job.tracks = {{0, 1}, {1, 1}};
  job.units[0].after = {{1, 0}};
  job.units[1].after = {{0, 0}};
  EXPECT_EQ(error_of([&] { connect(job); }), "job: units wait for each other in a circle");
}

}  // namespace
}  // namespace shardlab
