#include "traces/plan_file.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/broken_text.h"
#include "tests/error_of.h"
#include "tests/sample_data.h"
#include "traces/atomic_file.h"

namespace shardlab {
namespace {

std::string error(const std::string& broken) {
  return error_of([&] { parse_plan(broken); });
}

/// A plan of one job, written by hand.
std::string plan_of(const std::string& job) {
  return R"({"format":"shardlab-plan","version":1,"name":"n","policy":"lrtf","seed":1,)"
         R"("admit":0,"slots":2,"jobs":[)" +
         job + "]}";
}

TEST(PlanFile, WritesTheDocumentedBytes) {
  EXPECT_EQ(plan_json(sample_plan()), read_whole_file(source_file("examples/formats/plan.json")));
}

TEST(PlanFile, PutsEachFieldInItsPlace) {
  const Plan read = read_plan(source_file("examples/formats/plan.json"));
  EXPECT_EQ(plan_json(read), plan_json(sample_plan()));
  EXPECT_EQ(read.name, "mixed/lrtf");
  EXPECT_EQ(read.policy, "lrtf");
  EXPECT_EQ(read.slots, 2);
  EXPECT_EQ(read.jobs.at(0).first_layer, (std::vector<int>{0, 1, 3}));
  EXPECT_TRUE(read.jobs.at(0).recompute);
  EXPECT_EQ(read.jobs.at(1).strategy, Strategy::kModelParallel);
  EXPECT_EQ(read.jobs.at(1).device, (std::vector<DeviceId>{DeviceId{0}, DeviceId{1}}));
  EXPECT_FALSE(read.jobs.at(1).recompute);
}

TEST(PlanFile, SaysWhereOptimizersStep) {
  Plan plan = sample_plan();
  EXPECT_EQ(plan_json(plan).find("optimizer_step"), std::string::npos);
  for (const StepPlace place : {StepPlace::kDevice, StepPlace::kHost}) {
    plan.jobs[1].step = place;
    const Plan read = parse_plan(plan_json(plan));
    EXPECT_EQ(read.jobs[0].step, StepPlace::kCheaper);
    EXPECT_EQ(read.jobs[1].step, place);
  }
  EXPECT_EQ(error(plan_of(R"({"strategy":"spill","first_layer":[0],"device":[],"recompute":true,)"
                          R"("optimizer_step":"moon"})")),
            "job 0: optimizer_step: \"moon\" is no place to step; there are device, host, cheaper");
}

TEST(PlanFile, SaysOfEachShardWhetherItRecomputes) {
  Plan plan = sample_plan();
  plan.jobs[1].recompute_shard = {true, false};
  const std::string text = plan_json(plan);
  const JobPlan read = parse_plan(text).jobs.at(1);
  EXPECT_EQ(read.recompute_shard, plan.jobs[1].recompute_shard);
  EXPECT_TRUE(read.recomputes(0));
  EXPECT_FALSE(read.recomputes(1));
  EXPECT_EQ(plan_json(parse_plan(text)), text);
  const auto bound = [](const std::string& recompute) {
    return plan_of(R"({"strategy":"model_parallel","first_layer":[0,2],"device":[0,1],)"
                   R"("recompute":)" +
                   recompute + "}");
  };
  EXPECT_NE(error_of([&] {
              parse_plan(bound("[true]"));
            }).find("recompute: has 1 flags, must have one for each of 2 shards"),
            std::string::npos);
  EXPECT_NE(error_of([&] { parse_plan(bound("[true,1]")); }).find("recompute: must be true or"),
            std::string::npos);
}

TEST(PlanFile, KeepsAllBitsOfTheSeed) {
  Plan plan = sample_plan();
  plan.seed = UINT64_MAX;
  EXPECT_EQ(parse_plan(plan_json(plan)).seed, UINT64_MAX);
}

TEST(PlanFile, WritesTheSameFileTwice) {
  const std::string path = ::testing::TempDir() + "plan.json";
  write_plan(path, sample_plan());
  write_plan(path, read_plan(path));
  EXPECT_EQ(read_whole_file(path), plan_json(sample_plan()));
}

TEST(PlanFile, RefusesShardsThatMakeNoSense) {
  const auto spill = [](const std::string& layers) {
    return plan_of(R"({"strategy":"spill","first_layer":)" + layers +
                   R"(,"device":[],"recompute":true})");
  };
  EXPECT_EQ(error(spill("[]")), "job 0: first_layer: is empty, so the job has no shard");
  EXPECT_EQ(error(spill("[1]")), "job 0: first_layer: must begin with 0, begins with 1");
  EXPECT_EQ(error(spill("[0,2,2]")), "job 0: first_layer: must ascend, but 2 follows 2");
  EXPECT_EQ(error(spill("[0,-2]")), "job 0: first_layer: negative (-2)");
  EXPECT_EQ(error(spill("[0,\"1\"]")), "job 0: first_layer: must be an integer, is a string");
  EXPECT_EQ(error(spill("3")), "job 0: first_layer: must be a list, is an integer");
}

TEST(PlanFile, DevicesAreThereForModelParallelOnly) {
  EXPECT_EQ(
      error(plan_of(R"({"strategy":"spill","first_layer":[0],"device":[1],"recompute":true})")),
      "job 0: device: must name 0 devices for 1 shards of spill, names 1");
  EXPECT_EQ(
      error(plan_of(
          R"({"strategy":"model_parallel","first_layer":[0,1],"device":[1],"recompute":true})")),
      "job 0: device: must name 2 devices for 2 shards of model_parallel, names 1");
}

TEST(PlanFile, NamesWhatIsMissingOrWrong) {
  const std::string good = plan_json(sample_plan());
  EXPECT_EQ(error(plan_of(R"({"strategy":"spill","first_layer":[0],"device":[]})")),
            "job 0: recompute: missing");
  EXPECT_EQ(error(plan_of(R"({"strategy":"spil","first_layer":[0],"device":[],"recompute":true})")),
            "job 0: strategy: \"spil\" is no strategy; there are spill, resident, model_parallel, "
            "gpipe, one_f_one_b, interleaved, zero_offload");
  EXPECT_EQ(error(plan_of("5")), "job 0: must be an object, is an integer");
  EXPECT_EQ(error(replaced(good, "\"slots\": 2", "\"slots\": 0")),
            "slots: must be at least 1, is 0");
  EXPECT_EQ(error(replaced(good, "\"admit\": 0", "\"admit\": -1")), "admit: negative (-1)");
  EXPECT_EQ(error(replaced(good, "\"seed\": 1", "\"seed\": -1")),
            "seed: must be an integer that is not negative, is an integer");
  EXPECT_EQ(error(replaced(good, "\"policy\": \"lrtf\",", "")), "policy: missing");
  EXPECT_EQ(error(replaced(good, "shardlab-plan", "x")), "is a x, not a shardlab-plan");
}

TEST(PlanFile, RefusesKeysAndColumnsThatItDoesNotKnow) {
  const std::string good =
      plan_of(R"({"strategy":"spill","first_layer":[0],"device":[],"recompute":true})");
  const auto with = [&](const std::string& from, const std::string& to) {
    return error(replaced(good, from, to));
  };
  EXPECT_EQ(with("admit", "admits"), "admits: unknown key; did you mean \"admit\"?");
  EXPECT_EQ(with("\"admit\"", "\"mine\":[],\"admit\""), "mine: unknown key");
  EXPECT_EQ(with("strategy", "strategies"),
            "job 0: strategies: unknown key; did you mean \"strategy\"?");
  EXPECT_EQ(with("]}", "],\"places\":false}"),
            "places: policy \"lrtf\" does not follow an order; write \"replay\" or take this out");
  const auto ordered = [&](const std::string& keys, const std::string& columns) {
    return error(replaced(replaced(good, "lrtf", "replay"), "]}",
                          R"(],"order":{"columns":["device","job","minibatch","unit")" + columns +
                              R"(],"rows":[])" + keys + "}}"));
  };
  EXPECT_EQ(ordered("", ""), "no error");
  EXPECT_EQ(ordered(",\"row\":[]", ""), "order: row: unknown key; did you mean \"rows\"?");
  EXPECT_EQ(ordered("", ",\"claims_ns\""),
            "order: columns: claims_ns: unknown column; did you mean \"claim_ns\"?");
  EXPECT_EQ(ordered("", ",5"), "order: columns: 5: unknown column");
}

TEST(PlanFile, IsAnErrorWhereverItIsCutOff) {
  expect_errors_when_cut_off(plan_json(sample_plan()), parse_plan);
}
TEST(PlanFile, SurvivesFlippedBytes) {
  expect_no_crash_when_flipped(plan_json(sample_plan()), parse_plan);
}

}  // namespace
}  // namespace shardlab
