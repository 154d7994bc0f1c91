// Pipelines and replicas, trained for real: the bits of plain gradient accumulation.
#include "tests/distributed.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

class Distributed : public testing::TestWithParam<const char*> {};

TEST_P(Distributed, WeightsAndLossesAreThoseOfPlainGradientAccumulation) {
  const Workload work = jobs_of_eight();
  for (const bool recompute : {true, false}) {
    SCOPED_TRACE(recompute ? "recompute" : "keep");
    expect_plain(work, train(work, {{GetParam()}, 4, 2, recompute}));
  }
}

INSTANTIATE_TEST_SUITE_P(Strategies, Distributed,
                         testing::Values("gpipe(2,4)", "gpipe(4,2)", "gpipe(2,1)",
                                         "one_f_one_b(2,4)", "one_f_one_b(4,8)", "one_f_one_b(2,2)",
                                         "interleaved(2,4,2)", "data_parallel(2)",
                                         "data_parallel(4)", "data_parallel(2,model_parallel)",
                                         "data_parallel(2,gpipe(2,2))",
                                         "data_parallel(2,one_f_one_b(2,4))"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
                           return name;
                         });

TEST(Distributed, MixturesOfStrategiesOnRandomClustersTrainLikeEachJobAlone) {
  const Workload work = jobs_of_eight();
  const std::vector<std::string> choices{"spill",
                                         "resident",
                                         "model_parallel",
                                         "gpipe(2,2)",
                                         "one_f_one_b(2,4)",
                                         "data_parallel(2)",
                                         "data_parallel(2,gpipe(2,2))",
                                         "data_parallel(2,one_f_one_b(2,2))",
                                         "zero_offload(2)"};
  std::mt19937_64 random(20261122);
  const auto draw = [&](std::size_t below) { return static_cast<std::size_t>(random() % below); };
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    DistributedSetting setting;
    for (std::size_t j = 0; j < work.jobs.size(); ++j) {
      setting.strategies.push_back(choices[draw(choices.size())]);
    }
    setting.devices = 4 + draw(2);
    setting.slots = 1 + static_cast<int>(draw(3));
    setting.recompute = draw(2) == 0;
    setting.keeping = static_cast<unsigned>(draw(4));
    setting.policy = known_policies()[draw(known_policies().size())].name;
    if (draw(3) == 0) setting.link = {Duration{20'000}, 2e9};
    setting.peers = draw(3) == 0;
    expect_plain(work, train(work, setting));
  }
}

// On the CPU its bits are those of a step on the device.
TEST(Distributed, StepsOnTheHostTrainLikeEachJobAlone) {
  const Workload work = jobs_of_eight();
  for (const char* strategy : {"spill", "resident", "model_parallel"}) {
    for (int round = 0; round < 8; ++round) {
      SCOPED_TRACE(testing::Message() << strategy << ", round " << round);
      const bool keeps = round % 2 == 1 && strategy != std::string("spill");
      DistributedSetting setting{{strategy}, 2, 1 + round / 4, !keeps};
      setting.steps = {StepPlace::kHost};
      setting.copy_engines = round % 3;
      if (round % 4 > 1) setting.link = {Duration{20'000}, 2e9};
      setting.checkpoints.minibatches = round % 3;
      const Trained trained = train(work, setting);
      expect_plain(work, trained);
      EXPECT_EQ(trained.on_host, std::vector<bool>(work.jobs.size(), true));
      for (const CopySpan& span : trained.result.timeline.copies) {
        EXPECT_NE(span.item, ItemKind::kState);
        const bool gradient =
            span.item == ItemKind::kParameters && span.direction == Direction::kDemote;
        EXPECT_EQ(span.step_from > Instant{}, gradient);
        EXPECT_TRUE(!gradient || span.step_from >= span.link_to);
      }
    }
  }
}

TEST(Distributed, ActivationsGoStraightToTheNextStageWhereDevicesAreJoined) {
  const Workload work = jobs_of_eight();
  const Trained trained = train(work, {{"gpipe(2,4)"}, 2, 1, true, 0, "lrtf", {}, true});
  EXPECT_GT(trained.result.outcome.between_devices, 0);
  expect_plain(work, trained);
}

TEST(Distributed, APipelineThatDivergesStopsAlone) {
  Workload work = jobs_of_eight();
  work.jobs[1].optimizer.learning_rate = 1e30;
  const Trained trained = train(work, {{"one_f_one_b(2,4)"}, 4});
  EXPECT_FALSE(trained.result.outcome.jobs[1].completed);
  EXPECT_NE(trained.result.outcome.jobs[1].reason.find("the loss is"), std::string::npos);
  for (const std::size_t other : {0u, 2u, 3u}) {
    EXPECT_TRUE(trained.result.outcome.jobs[other].completed);
    EXPECT_EQ(trained.result.jobs[other].losses, plain(work, other, trained.plans[other]).losses);
  }
}

// What a replica has added up may be in host memory when another steps the shard.
TEST(Distributed, ReplicasThatShareParametersInHostMemoryStepEachShardOnce) {
  const Workload work = jobs_of_eight();
  int demoted = 0;
  for (const double room : {1.0, 1.5, 8.0}) {
    DistributedSetting setting{
        {"data_parallel(2,spill)", "zero_offload(4)", "zero_offload(1)"}, 4, 2};
    setting.room = room;
    setting.link = {Duration{20'000}, 2e9};
    SCOPED_TRACE(testing::Message() << "room " << room);
    const Trained trained = train(work, setting);
    expect_plain(work, trained);
    for (const CopySpan& copy : trained.result.timeline.copies) {
      const bool sum = copy.item == ItemKind::kWeightGradient;
      if (sum && copy.direction == Direction::kDemote) ++demoted;
    }
  }
  EXPECT_GT(demoted, 0);
}

TEST(Distributed, RefusesZeroOffloadThatKeepsActivations) {
  const Workload work = jobs_of_eight();
  Cluster cluster;
  cluster.devices.resize(2);
  const Profile profile = profile_of_parts(work);
  Plan plan;
  std::vector<std::vector<int>> first_layers;
  for (std::size_t j = 0; j < work.jobs.size(); ++j) {
    const StrategyChoice choice = parse_strategy_choice("zero_offload(2)");
    plan.jobs.push_back(plan_on_group(work.jobs[j], j, cluster, profile, choice, false));
    first_layers.push_back(plan.jobs.back().first_layer);
  }
  const Program program = lower(work, cluster, profile, plan);
  const auto policy = make_policy("lrtf", track_count(program), 1);
  const auto error =
      error_of([&] { run(work, cluster, program, first_layers, *policy, RunOptions{}); });
  EXPECT_NE(error.find("let it recompute them"), std::string::npos) << error;
}

}  // namespace
}  // namespace shardlab
