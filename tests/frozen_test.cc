#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "policies/bounds.h"
#include "policies/planner.h"
#include "policies/registry.h"
#include "policies/replay.h"
#include "sched/job_profile.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "sched/residency.h"
#include "sched/shard_cost.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/timeline_check.h"

/// Frozen parameters, adapters, and jobs that share one base.
namespace shardlab {
namespace {

/// Equal jobs of one model, all layers alike; tokens take 8 bytes at either end.
instances::Case alike(int jobs, int layers) {
  instances::Case drawn = instances::draw({.jobs = jobs, .shards = layers, .minibatches = 1}, 1);
  drawn.profile.models.resize(1);
  ModelProfile& model = drawn.profile.models.front();
  model.model.layers = layers - 2;
  for (LayerCost& layer : model.layers) {
    layer.loaded.forward.median = Duration{10};
    layer.loaded.recompute.median = Duration{11};
    layer.loaded.backward.median = Duration{20};
    layer.loaded.step.median = Duration{8};
    layer.alone = layer.loaded;
    layer.parameters = 1000;
    layer.state = 2000;
    layer.output = 30;
    layer.forward_workspace = 5;
    layer.saved = 70;
    layer.backward_workspace = 6;
  }
  for (Job& job : drawn.workload.jobs) job.model = model.model;
  return drawn;
}

Program lowered(const instances::Case& drawn, const Cluster& cluster) {
  return lower(drawn.workload, cluster, drawn.profile, drawn.plan);
}

struct Simulated {
  Timeline timeline;
  Outcome outcome;
};

Simulated simulated(const Program& program, const Cluster& cluster, const std::string& policy) {
  Simulated run;
  EstimatedCosts costs(program);
  const auto chosen = make_policy(policy, track_count(program), 1);
  run.outcome = simulate(program, cluster, *chosen, costs, &run.timeline);
  return run;
}

std::string units(const JobProgram& job) {
  std::string text;
  for (const Unit& unit : job.units) {
    text += (text.empty() ? "" : " ") + to_string(unit.kind) + std::to_string(unit.shard);
  }
  return text;
}

/// "frozen parameters 1", "state 2".
std::set<std::string> names(const JobProgram& job, const ItemList& list) {
  std::set<std::string> all;
  for (const ItemIndex i : list) {
    all.insert(to_string(job.items[i].kind) + " " + std::to_string(job.items[i].shard));
  }
  return all;
}

using Names = std::set<std::string>;

TEST(JobProfile, IsTheProfilesOwnEntryWhereNothingIsFrozen) {
  const instances::Case drawn = alike(1, 4);
  EXPECT_EQ(job_profile(drawn.profile, drawn.workload.jobs[0], 1).get(), &drawn.profile.models[0]);
}

TEST(JobProfile, OfFrozenLayersHasTheirForwardAlone) {
  instances::Case drawn = alike(1, 4);
  drawn.workload.jobs[0].frozen_layers = 2;
  const auto model = job_profile(drawn.profile, drawn.workload.jobs[0], 1);
  EXPECT_EQ(model->first_trained, 2);
  const LayerCost& below = model->layers[1];
  EXPECT_EQ(below.frozen, 1000);
  EXPECT_EQ(below.parameters + below.state + below.saved + below.backward_workspace, 0);
  EXPECT_EQ(below.alone.recompute.median, Duration{10});
  EXPECT_EQ(below.alone.backward.median + below.alone.step.median, Duration{});
  const LayerCost& above = model->layers[2];
  EXPECT_EQ(above.frozen, 0);
  EXPECT_EQ(above.parameters, 1000);
  EXPECT_EQ(above.loaded.backward.median, Duration{20});
}

// gpt of width 8, rank 2: 2 x (4 + 2 + 5 + 5) x 8 = 256 floats for the four matrices of a block.
TEST(JobProfile, OfAdaptersTrainsTheirParametersInProportion) {
  instances::Case drawn = alike(1, 4);
  Job& job = drawn.workload.jobs[0];
  ModelProfile& entry = drawn.profile.models[0];
  job.model = entry.model = {Architecture::kGpt, 2, 8, 2, 16, 0};
  for (LayerCost& layer : entry.layers) layer.parameters = 2048;
  job.lora_rank = 2;
  const auto model = job_profile(drawn.profile, job, 1);
  EXPECT_EQ(model->first_trained, 1);
  EXPECT_EQ(model->layers[0].alone.backward.median, Duration{});
  for (const int block : {1, 2}) {
    const LayerCost& layer = model->layers[static_cast<std::size_t>(block)];
    EXPECT_EQ(layer.frozen, 2048);
    EXPECT_EQ(layer.parameters, 4 * 256);
    EXPECT_EQ(layer.state, 2 * 4 * 256);
    EXPECT_EQ(layer.saved, 70 + 4 * 2 * 4 * 16);  // Rank x matrices x tokens.
    EXPECT_EQ(layer.alone.step.median, Duration{4});
    EXPECT_EQ(layer.alone.backward.median, Duration{20});
  }
  const LayerCost& head = model->layers[3];
  EXPECT_EQ(head.frozen, 2048);
  EXPECT_EQ(head.parameters + head.state, 0);
  EXPECT_EQ(head.alone.backward.median, Duration{20});
  EXPECT_EQ(head.alone.step.median, Duration{});
}

TEST(JobProfile, OfAnMlpHasOneMatrixPerBlock) {
  instances::Case drawn = alike(1, 3);
  Job& job = drawn.workload.jobs[0];
  job.model.width = drawn.profile.models[0].model.width = 8;
  job.lora_rank = 2;
  EXPECT_EQ(job_profile(drawn.profile, job, 1)->layers[1].parameters, 4 * 2 * 16);
}

TEST(JobProfile, RefusesToFreezeAll) {
  instances::Case drawn = alike(1, 3);
  drawn.workload.jobs[0].frozen_layers = 3;
  EXPECT_EQ(error_of([&] { job_profile(drawn.profile, drawn.workload.jobs[0], 1); }),
            "frozen_layers is 3, the model has 3 layers; leave one to train");
  // Whoever asks for it names the job, once.
  const Cluster cluster = instances::devices(1);
  EXPECT_EQ(error_of([&] { lower(drawn.workload, cluster, drawn.profile, drawn.plan); }),
            "job0: frozen_layers is 3, the model has 3 layers; leave one to train");
  EXPECT_EQ(error_of([&] { make_plan(drawn.workload, cluster, drawn.profile, {}); }),
            "job0: frozen_layers is 3, the model has 3 layers; leave one to train");
}

// Layers 0 to 2 of 4 are frozen, the cut is after layers 0 and 2: one shard wholly, one half.
TEST(FrozenLayers, EndTheChainOfBackwards) {
  instances::Case drawn = alike(1, 4);
  drawn.workload.jobs[0].frozen_layers = 2;
  drawn.plan.jobs[0].first_layer = {0, 1, 3};
  const Cluster cluster = instances::devices(1);
  const JobProgram job = lowered(drawn, cluster).jobs[0];
  ASSERT_EQ(units(job), "forward0 forward1 fused2 backward1");
  const Unit &f0 = job.units[0], &f1 = job.units[1], &fused = job.units[2], &b1 = job.units[3];
  EXPECT_EQ(names(job, f0.reads), Names({"frozen parameters 0"}));
  EXPECT_EQ(names(job, f1.reads), Names({"activation 0", "frozen parameters 1", "parameters 1"}));
  EXPECT_EQ(names(job, f1.consumes), Names({}));
  EXPECT_EQ(names(job, fused.reads), Names({"activation 1", "parameters 2", "state 2"}));
  EXPECT_EQ(names(job, fused.creates), Names({"gradient 1"}));
  EXPECT_EQ(names(job, b1.reads), Names({"activation 0", "frozen parameters 1", "gradient 1",
                                         "parameters 1", "state 1"}));
  EXPECT_EQ(names(job, b1.writes), Names({"parameters 1", "state 1"}));
  EXPECT_EQ(names(job, b1.creates), Names({}));
  EXPECT_EQ(names(job, b1.consumes), Names({"activation 0", "gradient 1"}));
  // Forward of layer 1 again, then recompute, backward and step of layer 2.
  EXPECT_EQ(b1.alone.total, Duration{10 + 11 + 20 + 8});
  // Gradients of layer 2's parameters; its graph, which begins at layer 1's output; around it
  // layer 1's output.
  EXPECT_EQ(b1.workspace, 1000 + (30 + 70 + 30) + (6 + 30));
}

// The last to read an activation uses it up, or the next minibatch would find it there.
TEST(FrozenLayers, HandTheirActivationsOverOnce) {
  instances::Case drawn = alike(1, 4);
  drawn.workload.jobs[0].frozen_layers = 3;
  drawn.plan.jobs[0].first_layer = {0, 1, 2, 3};
  const JobProgram job = lowered(drawn, instances::devices(1)).jobs[0];
  ASSERT_EQ(units(job), "forward0 forward1 forward2 fused3");
  EXPECT_EQ(names(job, job.units[1].consumes), Names({"activation 0"}));
  EXPECT_EQ(names(job, job.units[2].consumes), Names({"activation 1"}));
  EXPECT_EQ(names(job, job.units[3].consumes), Names({"activation 2"}));
  EXPECT_EQ(names(job, job.units[3].creates), Names({}));
}

TEST(Adapters, HaveBackwardsThroughEveryShardButTheEmbeddings) {
  instances::Case drawn = alike(1, 4);
  drawn.workload.jobs[0].lora_rank = 1;
  drawn.plan.jobs[0].first_layer = {0, 1, 3};
  const JobProgram job = lowered(drawn, instances::devices(1)).jobs[0];
  ASSERT_EQ(units(job), "forward0 forward1 fused2 backward1");
  EXPECT_EQ(names(job, job.units[2].reads), Names({"activation 1", "frozen parameters 2"}));
  EXPECT_EQ(names(job, job.units[2].writes), Names({}));
  EXPECT_EQ(names(job, job.units[2].creates), Names({"gradient 1"}));
  EXPECT_EQ(names(job, job.units[3].writes), Names({"parameters 1", "state 1"}));
}

TEST(Adapters, AreLessThanTheWholeForThePlannerToo) {
  instances::Case drawn = alike(1, 6);
  const Cluster cluster = instances::devices(1, 12000);
  const auto shards = [&] {
    return make_plan(drawn.workload, cluster, drawn.profile, {}).jobs[0].shards();
  };
  const int whole = shards();
  drawn.workload.jobs[0].lora_rank = 1;
  EXPECT_LT(shards(), whole);
}

// One shard, all but the head frozen, a byte per ns there and back, room for both jobs.
//   there  base 0-2000, A's head 2000-3000, state 3000-5000; B's 5000-6000-8000
//   A computes 5000-5059 (forwards 10 + 10, 11 + 20 + 8), B 8000-8059, both once
TEST(SharedBase, CrossesTheLinkOnce) {
  instances::Case drawn = alike(2, 3);
  for (Job& job : drawn.workload.jobs) {
    job.frozen_layers = 2;
    job.base = "gpt";
  }
  for (JobPlan& plan : drawn.plan.jobs) plan.first_layer = {0};
  drawn.plan.slots = 2;
  Cluster cluster = instances::devices(1, kUnlimited, {Duration{}, 1e9}, 2);
  cluster.devices[0].memory = 1'000'000;
  const Program program = lowered(drawn, cluster);
  const Simulated run = simulated(program, cluster, "fifo");
  expect_valid(run.timeline, program);
  ASSERT_EQ(run.timeline.units.size(), 2u);
  EXPECT_EQ(run.timeline.units[0].from, Instant{Duration{5000}});
  EXPECT_EQ(run.timeline.units[0].to, Instant{Duration{5059}});
  EXPECT_EQ(run.timeline.units[1].from, Instant{Duration{8000}});
  EXPECT_EQ(run.timeline.makespan, Instant{Duration{8059 + 3000}});
  EXPECT_EQ(run.outcome.promoted, 2000 + 2 * 3000);
  EXPECT_EQ(run.outcome.demoted, 2 * 3000);
  EXPECT_EQ(run.outcome.host_peak, 2000 + 2 * 3000);
  EXPECT_EQ(bounds(program, cluster).link, Duration{8000});

  for (Job& job : drawn.workload.jobs) job.base = "";
  const Simulated apart = simulated(lowered(drawn, cluster), cluster, "fifo");
  EXPECT_EQ(apart.outcome.promoted, 2 * 5000);
  EXPECT_EQ(apart.outcome.host_peak, 2 * 5000);
  EXPECT_EQ(apart.timeline.makespan, Instant{Duration{10'059 + 3000}});
}

// Peak of one alone, and of two: what is not shared twice. A byte less, and they take turns.
TEST(SharedBase, IsSetAsideOnceForJobsThatAreHeld) {
  instances::Case drawn = alike(2, 3);
  for (Job& job : drawn.workload.jobs) {
    job.frozen_layers = 2;
    job.base = "gpt";
    job.minibatches = 5;
  }
  for (JobPlan& plan : drawn.plan.jobs) plan = {Strategy::kResident, {0}, {}, true};
  drawn.plan.slots = 2;
  Cluster cluster = instances::devices(1, kUnlimited, {Duration{}, 1e9}, 2);
  Program program = lowered(drawn, cluster);
  const Bytes own = program.jobs[0].peak[0] - 2000;
  for (const Bytes missing : {0, 1}) {
    cluster.devices[0].memory = 2000 + 2 * own - missing;
    const Simulated run = simulated(program, cluster, "fifo");
    expect_valid(run.timeline, program);
    const bool together = run.timeline.units[0].job != run.timeline.units[5].job ||
                          run.timeline.units[1].job != run.timeline.units[0].job;
    EXPECT_EQ(run.outcome.peak[0], missing == 0 ? 2000 + 2 * own : 2000 + own);
    EXPECT_TRUE(together);
    EXPECT_EQ(run.outcome.promoted, 2000 + 2 * 3000) << "the base stays for the next";
    const auto& [a, b] = std::pair(run.timeline.ends[0], run.timeline.ends[1]);
    const auto first_of_b = std::find_if(run.timeline.units.begin(), run.timeline.units.end(),
                                         [](const UnitSpan& span) { return span.job == JobId{1}; });
    EXPECT_EQ(first_of_b->from >= a.at, missing == 1);
    EXPECT_TRUE(b.completed);
  }
}

// Job 0 asked for the base and ended; job 1 gets what is on its way.
TEST(SharedBase, OnItsWayForAJobThatEndsArrivesForTheOthers) {
  instances::Case drawn = alike(2, 3);
  for (Job& job : drawn.workload.jobs) {
    job.frozen_layers = 2;
    job.base = "gpt";
  }
  const Cluster cluster = instances::devices(1, 100'000, {Duration{}, 1e9}, 2);
  const Program program = lowered(drawn, cluster);
  Residency residency(program, cluster);
  const auto first = residency.reserve(JobId{0}, 0, DeviceId{0});
  ASSERT_NE(first, Residency::kNoRoom);
  const auto asked = std::exchange(residency.requests(), {});
  ASSERT_EQ(asked.size(), 1u);
  residency.release(first);
  residency.forget(JobId{0});
  const auto other = residency.reserve(JobId{1}, 0, DeviceId{0});
  ASSERT_NE(other, Residency::kNoRoom);
  EXPECT_TRUE(residency.requests().empty());
  EXPECT_FALSE(residency.arrived(other));
  residency.finished(asked[0]);
  EXPECT_TRUE(residency.arrived(other));
}

TEST(SharedBase, OfJobsThatDifferIsRefused) {
  const auto error = [](const auto& spoil) {
    instances::Case drawn = alike(2, 4);
    for (Job& job : drawn.workload.jobs) {
      job.frozen_layers = 2;
      job.base = "gpt";
    }
    spoil(drawn);
    return error_of([&] { lowered(drawn, instances::devices(1)); });
  };
  EXPECT_EQ(
      error([](auto& drawn) { drawn.workload.jobs[1].frozen_layers = 1; }),
      "job1: base: it has 1 layers frozen, job0 has 2 layers; give it a base of another name");
  EXPECT_EQ(error([](auto& drawn) {
              drawn.plan.jobs[1].first_layer = {0, 2};
            }),
            "job1: base: its shards begin at layers 0, 2, those of job0 at 0, 1, 2, 3; jobs of one "
            "base must be cut alike: give them one batch, optimizer and lora_rank, or a plan file");
  const std::string model = error([](auto& drawn) {
    drawn.profile.models.push_back(drawn.profile.models[0]);
    drawn.profile.models[1].model.layers = drawn.workload.jobs[1].model.layers = 7;
  });
  EXPECT_EQ(model.find("job1: base: it has the model mlp 7x1"), 0u) << model;
  EXPECT_EQ(error([](auto& drawn) { drawn.workload.jobs[0].frozen_layers = 0; }),
            "job0: base: nothing of it is frozen; give frozen_layers or lora_rank");
}

TEST(SharedBase, CountsOnceAgainstTheHostsMemory) {
  instances::Case drawn = alike(2, 3);
  for (Job& job : drawn.workload.jobs) {
    job.frozen_layers = 2;
    job.base = "gpt";
  }
  for (JobPlan& plan : drawn.plan.jobs) plan.first_layer = {0};
  Cluster cluster = instances::devices(1);
  cluster.host_memory = 8000;
  refuse_what_cannot_fit(lowered(drawn, cluster), cluster);
  cluster.host_memory = 7999;
  EXPECT_NE(error_of([&] { refuse_what_cannot_fit(lowered(drawn, cluster), cluster); }), "");
}

/// Jobs in groups of one model and cut, of which some share their base; strategies are drawn.
class RandomCase {
 public:
  explicit RandomCase(std::uint64_t seed) : generator_(seed) {
    instances::Shape shape;
    shape.jobs = 1 + pick(6);
    shape.shards = 2 + pick(4);
    shape.slots = 1 + pick(3);
    drawn = instances::draw(shape, seed);
    devices_ = 1 + pick(4);
    for (std::size_t j = 0; j < drawn.plan.jobs.size(); ++j) {
      const std::size_t group = static_cast<std::size_t>(pick(static_cast<int>(j) + 1));
      if (j == 0 || pick(3) == 0 || group == j) {
        freeze(j, shape.shards);
      } else {
        join(j, group);
      }
      lay_out(j);
    }
    drawn.plan.admit = pick(3);
    LinkSpec link;
    if (pick(3) > 0) link = {Duration{pick(5)}, 1e9 / (1 + pick(4))};
    cluster = instances::devices(static_cast<std::size_t>(devices_), kUnlimited, link, pick(3));
    drawn.profile.loaded.copy = drawn.profile.alone.copy = {Duration{pick(3)}, pick(2) * 2e9};
    if (pick(2) == 0) {
      for (Job& job : drawn.workload.jobs) job.arrival = Duration{pick(100)};
    }
  }

  /// Just enough memory, if `tight`.
  void give_memory(const Program& program, bool tight) {
    for (DeviceSpec& device : cluster.devices) {
      device.memory = tight ? instances::tight_budget(program) + pick(10) : Bytes{1'000'000};
    }
  }

  instances::Case drawn;
  Cluster cluster;

 private:
  int pick(int n) { return static_cast<int>(generator_() % static_cast<std::uint64_t>(n)); }

  void freeze(std::size_t j, int layers) {
    Job& job = drawn.workload.jobs[j];
    if (pick(4) == 0) return;
    if (pick(2) == 0) {
      job.lora_rank = 1 + pick(3);
    } else {
      job.frozen_layers = 1 + pick(layers - 1);
    }
    if (pick(4) > 0) job.base = "base of " + job.name;
    auto& first = drawn.plan.jobs[j].first_layer;
    first = {0};
    for (int layer = 1; layer < layers; ++layer) {
      if (pick(2) == 0) first.push_back(layer);
    }
  }
  void join(std::size_t j, std::size_t other) {
    Job& job = drawn.workload.jobs[j];
    const std::string name = job.name;
    job = drawn.workload.jobs[other];
    job.name = name;
    if (job.lora_rank > 0) job.lora_rank = 1 + pick(3);
    drawn.plan.jobs[j].first_layer = drawn.plan.jobs[other].first_layer;
  }
  void lay_out(std::size_t j) {
    JobPlan& plan = drawn.plan.jobs[j];
    Job& job = drawn.workload.jobs[j];
    job.batch = 1;
    const int kind = pick(6), shards = plan.shards();
    if (kind == 0 && shards == 1) plan.strategy = Strategy::kResident;
    if (kind == 1) plan.strategy = Strategy::kModelParallel;
    if (kind == 2) plan.strategy = pick(2) == 0 ? Strategy::kGpipe : Strategy::kOneFOneB;
    if (kind == 3) plan.strategy = Strategy::kZeroOffload;
    if (pipelined(plan.strategy)) plan.microbatches = 1 + pick(3);
    if (kind >= 1 && kind <= 3) plan.replicas = 1 + pick(2);
    if (kind == 1 || kind == 2) plan.recompute = pick(2) == 0;
    job.batch = plan.microbatches * plan.replicas;
    for (int d = 0; d < devices_named(plan); ++d) {
      plan.device.push_back(device_id(static_cast<std::size_t>(d % devices_)));
    }
  }

  std::mt19937_64 generator_;
  int devices_ = 1;
};

Bytes lasting(const Program& program) {
  Bytes sum = 0;
  FirstSight first_sight(program);
  for (const JobProgram& job : program.jobs) {
    for (const Item& item : job.items) sum += item.lasting && first_sight(item) ? item.bytes : 0;
  }
  return sum;
}

void expect_frozen_items_stay_clean(const Timeline& timeline, const Program& program) {
  for (const CopySpan& span : timeline.copies) {
    if (span.item != ItemKind::kFrozen) continue;
    ASSERT_EQ(span.direction, Direction::kPromote);
    ASSERT_GT(span.bytes, 0);
  }
  for (const JobProgram& job : program.jobs) {
    for (const Unit& unit : job.units) {
      for (const ItemIndex i : unit.writes) ASSERT_NE(job.items[i].kind, ItemKind::kFrozen);
    }
  }
}

/// Which shared item a copy moved, or -1.
std::int32_t shared_of(const CopySpan& span, const Program& program) {
  for (const Item& item : program.jobs[index(span.job)].items) {
    const bool same = item.kind == span.item && item.shard == span.shard &&
                      item.replica == span.replica && span.item == ItemKind::kFrozen;
    if (same) return item.shared;
  }
  return Item::kNotShared;
}

class EveryPolicy : public testing::TestWithParam<PolicyInfo> {};

TEST_P(EveryPolicy, RunsFrozenAndSharedJobsWithinTheBudget) {
  const std::string policy(GetParam().name);
  for (std::uint64_t seed = 0; seed < instances::seeds(400); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomCase random(seed);
    const Program program = lowered(random.drawn, random.cluster);
    random.give_memory(program, /*tight=*/true);
    refuse_what_cannot_fit(program, random.cluster);
    const Simulated run = simulated(program, random.cluster, policy);
    expect_valid(run.timeline, program);
    expect_frozen_items_stay_clean(run.timeline, program);
    for (const JobEnd& end : run.timeline.ends) ASSERT_TRUE(end.completed);
    EXPECT_GE(run.outcome.makespan.time_since_epoch(), bounds(program, random.cluster).greatest());
    EXPECT_GE(run.outcome.host_peak, lasting(program));

    Replay replay(order_of(run.timeline), program, random.cluster.devices.size(),
                  Replay::Times::kKept);
    MeasuredCosts measured(run.timeline, program, MeasuredCosts::Detail::kEach);
    Timeline again;
    simulate(program, random.cluster, replay, measured, &again);
    ASSERT_EQ(again.makespan, run.timeline.makespan);
    if (HasFailure()) return;
  }
}

TEST_P(EveryPolicy, BringsASharedItemToADeviceOnceWhereThereIsRoom) {
  const std::string policy(GetParam().name);
  std::size_t several = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(100); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomCase random(seed);
    const Program program = lowered(random.drawn, random.cluster);
    random.give_memory(program, /*tight=*/false);
    const Simulated run = simulated(program, random.cluster, policy);
    std::map<std::pair<std::int32_t, std::size_t>, int> times;
    for (const CopySpan& span : run.timeline.copies) {
      const std::int32_t shared = shared_of(span, program);
      if (shared == Item::kNotShared) continue;
      ASSERT_EQ((++times[{shared, index(span.device)}]), 1);
    }
    several += times.size();
  }
  EXPECT_GT(several, 20u);
}

INSTANTIATE_TEST_SUITE_P(All, EveryPolicy, testing::ValuesIn(known_policies()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace shardlab
