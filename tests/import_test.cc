#include <algorithm>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "imports/fill.h"
#include "imports/importers.h"
#include "imports/setting.h"
#include "sched/shard_cost.h"
#include "tests/error_of.h"
#include "tests/measured_data.h"
#include "tests/sample_data.h"
#include "traces/atomic_file.h"
#include "traces/profile_file.h"

namespace shardlab {
namespace {

ImportOptions options() {
  ImportOptions result;
  result.batch = 8;
  return result;
}

std::string fixture(const std::string& name) {
  return source_file("tests/fixtures/imports/" + name);
}

Imported example_csv() { return import_csv(fixture("layers.csv"), options()); }

using Names = std::vector<std::string>;

TEST(Import, CsvTakesUnitsFromTheHeaderAndLeavesEmptyFieldsUnknown) {
  const Imported found = example_csv();
  ASSERT_EQ(found.model.layers.size(), 3U);
  const LayerCost& blocks = found.model.layers[1];
  EXPECT_EQ(blocks.name, "blocks, all");
  EXPECT_EQ(blocks.alone.forward.median, Duration{18'500'000});
  EXPECT_EQ(blocks.loaded.step.median, Duration{900'000});
  EXPECT_EQ(blocks.parameters, Bytes{1200} << 20);
  EXPECT_EQ(blocks.forward_workspace, Bytes{4096} << 10);
  EXPECT_EQ(found.model.model.imported, "layers");
  EXPECT_EQ(missing_costs(found.model),
            (Names{"state_bytes of every layer", "recompute_ns of every layer",
                   "step_ns of layer 2 (head)", "input_bytes"}));
  ASSERT_EQ(found.unused.size(), 1U);
  EXPECT_EQ(found.unused[0].what, "fields of the column note");
}

TEST(Import, TheTableStandsInTheDocumentOfFormats) {
  const std::string document = read_whole_file(source_file("docs/formats.md"));
  EXPECT_NE(document.find("```csv\n" + read_whole_file(fixture("layers.csv")) + "```\n"),
            std::string::npos);
}

TEST(Import, WhatFollowsFromWhatIsKnownIsDerivedWithANote) {
  Imported found = example_csv();
  derive(found);
  EXPECT_EQ(found.model.layers[1].state, Bytes{2400} << 20);
  EXPECT_EQ(found.model.layers[1].alone.recompute.median, Duration{18'500'000});
  EXPECT_EQ(missing_costs(found.model), (Names{"step_ns of layer 2 (head)", "input_bytes"}));
  EXPECT_EQ(found.notes,
            (Names{"state_bytes of 3 layers: 2 x parameter_bytes, for adamw",
                   "recompute_ns of 3 layers: taken as forward_ns, which recorded a graph"}));
}

TEST(Import, AStepOfTheWholeModelIsDividedByParameters) {
  Imported found = example_csv();
  for (LayerCost& layer : found.model.layers) layer.missing.set(CostField::kStep);
  found.whole_step = Measured{Duration{1'392'000}, Duration{1392}, 5, Duration{1}};
  derive(found);
  EXPECT_EQ(found.model.layers[0].alone.step.median, Duration{96'000});
  EXPECT_EQ(found.model.layers[1].loaded.step.median, Duration{1'200'000});
  EXPECT_EQ(found.model.layers[1].loaded.step.spread, Duration{1200});
}

TEST(Import, PerseusGivesStagesAndLeavesSizesUnknown) {
  ImportOptions given;
  const Imported found = import_perseus(fixture("run_dp1_pp2_tp1_mbs4_nmb2.prof.json"), given);
  EXPECT_EQ(found.model.batch, 4);
  ASSERT_EQ(found.model.layers.size(), 2U);
  EXPECT_EQ(found.model.layers[0].alone.forward.median, Duration{12'000'000});
  EXPECT_EQ(found.model.layers[0].alone.forward.samples, 4);
  EXPECT_EQ(found.model.layers[1].alone.backward.median, Duration{60'000'000});
  EXPECT_TRUE(found.model.layers[0].missing.has(CostField::kParameters));
  EXPECT_TRUE(found.model.layers[0].missing.has(CostField::kStep));
  ASSERT_EQ(found.unused.size(), 2U);
  EXPECT_EQ(found.unused[0].why, "reading data is not simulated; 8.0 ms of an iteration");
}

TEST(Import, PipedreamGivesAChainInTheOrderOfItsEdges) {
  const Imported found = import_pipedream(fixture("graph.txt"), options());
  ASSERT_EQ(found.model.layers.size(), 4U);
  EXPECT_EQ(found.model.layers[0].name, "node2 Embedding");
  EXPECT_EQ(found.model.layers[1].name, "node3 Linear");
  EXPECT_EQ(found.model.layers[2].name, "node9 Add");
  EXPECT_EQ(found.model.layers[3].name, "node10 LSTM");
  EXPECT_EQ(found.model.layers[1].alone.backward.median, Duration{4'000'000});
  // Node 9 also takes the output of node 2, which a cut above node 3 must carry.
  EXPECT_EQ(found.model.layers[0].output, 512);
  EXPECT_EQ(found.model.layers[1].output, 512 + 1024);
  EXPECT_EQ(found.model.layers[2].output, 1024);
  EXPECT_EQ(found.model.layers[3].output, 0);
  EXPECT_EQ(found.model.input, 4096);
}

TEST(Import, PipedreamsTrapsAreNotUsed) {
  const Imported found = import_pipedream(fixture("graph.txt"), options());
  EXPECT_TRUE(found.model.layers[3].missing.has(CostField::kBackward));  // 0.016 ms of an LSTM.
  EXPECT_FALSE(found.model.layers[2].missing.has(CostField::kBackward));
  ASSERT_EQ(found.unused.size(), 2U);
  EXPECT_EQ(found.unused[0].why, "635.902 ms are of reading data, which is not simulated");
  EXPECT_EQ(found.unused[1].what, "backward times");
}

TEST(Import, ABatchThatNobodySaysIsAskedFor) {
  EXPECT_EQ(error_of([] { import_csv(fixture("layers.csv"), {}); }),
            "the file does not say its batch; give it with --batch");
}

TEST(Import, InputsTakeTheRoomThatTheProfileSays) {
  Imported found = example_csv();
  apply({parse_setting("input_bytes=1 MiB")}, found);
  EXPECT_EQ(shard_cost(found.model, 0, 1).tokens, 1 << 20);
  EXPECT_EQ(shard_cost(found.model, 1, 2).tokens, 0);
}

TEST(Setting, SetsWhatAPatternNames) {
  Imported found = example_csv();
  apply({parse_setting("*.activation_bytes = 4 MiB")}, found);
  apply({parse_setting("blocks*.step_ns=1.5 ms")}, found);
  apply({parse_setting("head.step_ns=20")}, found);
  EXPECT_EQ(found.model.layers[2].output, 4 << 20);
  EXPECT_EQ(found.model.layers[1].alone.step.median, Duration{1'500'000});
  EXPECT_EQ(found.model.layers[2].loaded.step.median, Duration{20});
  EXPECT_FALSE(found.model.layers[2].missing.has(CostField::kStep));
  EXPECT_EQ(found.notes[0], "output_bytes of 3 layers: set by user (*.activation_bytes = 4 MiB)");
}

TEST(Setting, OfSeveralForOneCostTheLastStandsAndOnlyThatIsNoted) {
  Imported found = example_csv();
  apply({parse_setting("*.step_ns=1 ms"), parse_setting("head.step_ns=2 ms"),
         parse_setting("head.step_ns=3 ms"), parse_setting("copy=0 + 1 GB"),
         parse_setting("copy=0 + 2 GB")},
        found);
  EXPECT_EQ(found.model.layers[0].alone.step.median, Duration{1'000'000});
  EXPECT_EQ(found.model.layers[2].alone.step.median, Duration{3'000'000});
  EXPECT_EQ(found.notes,
            (std::vector<std::string>{
                "step_ns of 2 layers: set by user (*.step_ns=1 ms)",
                "--set 'head.step_ns=2 ms' came to nothing: a later one is of the same",
                "step_ns of 1 layers: set by user (head.step_ns=3 ms)",
                "--set 'copy=0 + 1 GB' came to nothing: a later one is of the same",
                "copy of host: set by user (copy=0 + 2 GB)"}));
}

TEST(Setting, ANameGoesBeforeAPatternThatItLooksLike) {
  Imported found = example_csv();
  found.model.layers[0].name = "h*";
  apply({parse_setting("h*.step_ns=7")}, found);
  EXPECT_EQ(found.model.layers[0].alone.step.median, Duration{7});
  EXPECT_TRUE(found.model.layers[2].missing.has(CostField::kStep));  // "head"
  apply({parse_setting("he*.step_ns=8")}, found);
  EXPECT_EQ(found.model.layers[2].alone.step.median, Duration{8});
  EXPECT_EQ(found.model.layers[0].alone.step.median, Duration{7});
}

TEST(Setting, SetsTheHost) {
  Imported found = example_csv();
  apply({parse_setting("copy=10 us + 24 GB")}, found);
  apply({parse_setting("copy_back=0 + 12 GB/s")}, found);
  apply({parse_setting("dispatch_ns=5 us")}, found);
  EXPECT_EQ(found.host.copy.latency, Duration{10'000});
  EXPECT_EQ(found.host.copy.bytes_per_second, 24e9);
  EXPECT_EQ(found.host.copy_back.bytes_per_second, 12e9);
  EXPECT_EQ(found.host.dispatch, Duration{5'000});
  EXPECT_FALSE(found.host.missing.has(CostField::kCopy));
  EXPECT_TRUE(found.host.missing.has(CostField::kUnitOverhead));
}

TEST(Setting, RefusesWhatSaysNothing) {
  const auto error = [](const char* text) { return error_of([&] { parse_setting(text); }); };
  EXPECT_EQ(error("x"), "--set 'x': write LAYER.FIELD=VALUE or FIELD=VALUE");
  EXPECT_EQ(error("*.parameter_byte=1"),
            "--set '*.parameter_byte=1': \"parameter_byte\" is no field of a profile; did you mean "
            "\"parameter_bytes\"?");
  EXPECT_EQ(error(".saved_bytes=1"), "--set '.saved_bytes=1': names no layer before the dot");
  EXPECT_EQ(error("saved_bytes=1"),
            "--set 'saved_bytes=1': saved_bytes is of layers; write "
            "LAYER.saved_bytes");
  EXPECT_EQ(error("*.copy=1 GB"), "--set '*.copy=1 GB': copy is of no layer; leave the layer out");
  EXPECT_EQ(
      error("copy=0"),
      "--set 'copy=0': say latency and rate, as '10 us + 24 GB' (without latency: '0 + 24 GB')");
  EXPECT_EQ(error("copy=0 + 0"), "--set 'copy=0 + 0': a rate of 0 copies nothing");
  EXPECT_NE(error("*.step_ns=soon"), "no error");
  EXPECT_NE(error("*.step_ns=-3"), "no error");
  Imported found = example_csv();
  EXPECT_EQ(
      error_of([&] { apply({parse_setting("conv*.saved_bytes=0")}, found); }),
      "--set 'conv*.saved_bytes=0': no layer is called \"conv*\"; there are embedding, blocks, "
      "all, head");
}

Job gpt_job() {
  Job job;
  job.name = "gpt";
  job.model = {Architecture::kGpt, 1, 64, 2, 32, 0.0};
  job.batch = 8;
  return job;
}

TEST(Fill, AsManyLayersAsTheModelHasMakeItThatModel) {
  Imported found = example_csv();
  for (LayerCost& layer : found.model.layers) layer.missing.set(CostField::kParameters);
  fill("w.toml", gpt_job(), {}, found);
  EXPECT_EQ(found.model.model, gpt_job().model);
  EXPECT_EQ(found.model.layers[1].parameters, 4 * (12 * 64 * 64 + 13 * 64));
  EXPECT_EQ(found.model.layers[1].output, Bytes{48} << 20);  // Known, so it stays.
  EXPECT_EQ(missing_costs(found.model),
            (Names{"recompute_ns of every layer", "step_ns of layer 2 (head)"}));
}

TEST(Fill, RefusesAModelOfOtherParameters) {
  Imported found = example_csv();
  EXPECT_EQ(error_of([&] { fill("w.toml", gpt_job(), {}, found); }),
            "--fill w.toml: is another model: embedding has 100663296 bytes of parameters, in the "
            "workload's model 73984");
}

TEST(Fill, StagesGetTheSumsOfTheirLayers) {
  Imported found = import_perseus(fixture("run_dp1_pp2_tp1_mbs4_nmb2.prof.json"), {});
  const Job job = gpt_job();
  fill("w.toml", job, {0, 2}, found);
  EXPECT_EQ(found.model.model.architecture, Architecture::kImported);
  const auto all = [&](auto member) {
    return found.model.layers[0].*member + found.model.layers[1].*member;
  };
  const Bytes boundary = 4 * 4 * 32 * 64;  // Batch 4, as the file says.
  EXPECT_EQ(found.model.layers[0].output, boundary);
  EXPECT_EQ(found.model.layers[1].output, 0);
  EXPECT_EQ(all(&LayerCost::parameters),
            4 * ((257 + 32) * 64 + 12 * 64 * 64 + 13 * 64 + 2 * 64 + 256 * 64 + 256));
  EXPECT_EQ(found.model.input, 4 * 32 * 8);
  // The embedding's output lies within the first stage.
  EXPECT_GE(found.model.layers[0].saved, 16 * boundary);
}

TEST(Fill, RefusesWhatDoesNotGoTogether) {
  Imported found = import_perseus(fixture("run_dp1_pp2_tp1_mbs4_nmb2.prof.json"), {});
  EXPECT_TRUE(error_of([&] { fill("w.toml", gpt_job(), {}, found); })
                  .starts_with("w.toml: its model has 3 layers (embedding, blocks and head), "
                               "imported:run_dp1_pp2_tp1_mbs4_nmb2 has 2"));
  for (const std::vector<int>& cuts : {std::vector{0}, {1, 2}, {0, 3}, {0, 0}}) {
    EXPECT_TRUE(error_of([&] {
                  fill("w.toml", gpt_job(), cuts, found);
                }).starts_with("--fill-at: must be 2 numbers"));
  }
}

TEST(Import, SeveralFilesMakeOneProfile) {
  Imported csv = example_csv(), graph = import_pipedream(fixture("graph.txt"), options());
  EXPECT_TRUE(error_of([&] {
                as_profile({csv, graph}, "1");
              }).starts_with("no file says on which device it was measured: give --device"));
  csv.device = graph.device = "GPU";
  const Profile profile = as_profile({csv, graph}, "1");
  EXPECT_EQ(profile.models.size(), 2U);
  EXPECT_EQ(profile_json(parse_profile(profile_json(profile))), profile_json(profile));
  EXPECT_EQ(
      profile.provenance.notes[0],
      "imported:layers: could not use 3 fields of the column note: its name is no cost with a "
      "unit, as forward_ms or parameters_MiB");
  EXPECT_TRUE(error_of([&] {
                as_profile({csv, csv}, "1");
              }).starts_with("two files give imported:layers, batch 8"));
  graph.device = "another";
  EXPECT_TRUE(error_of([&] {
                as_profile({csv, graph}, "1");
              }).starts_with("the files are of different devices"));
}

// Files of others, where they are.
TEST(Import, ReadsPublishedGraphs) {
  for (const auto& [file, layers, doubtful] :
       {std::tuple("image_classification.alexnet.graph.txt", 22, 0),
        std::tuple("image_classification.resnet50.graph.txt", 176, 0),
        std::tuple("image_classification.vgg16.graph.txt", 40, 0),
        std::tuple("translation.gnmt.graph.txt", 45, 1)}) {
    const std::string path = measured_data(std::string("pipedream/") + file);
    if (path.empty()) GTEST_SKIP() << "no measured data: set SHARDLAB_DATA";
    const Imported found = import_pipedream(path, options());
    EXPECT_EQ(found.model.layers.size(), static_cast<std::size_t>(layers)) << file;
    const auto unknown = std::ranges::count_if(found.model.layers, [](const LayerCost& layer) {
      return layer.missing.has(CostField::kBackward);
    });
    EXPECT_EQ(unknown, doubtful) << file;
  }
}

TEST(Import, ReadsPublishedPipelines) {
  const std::string path =
      measured_data("perseus/a100/gpt3-xl.custom_dp1_pp4_tp1_mbs8_nmb128.0.prof.json");
  if (path.empty()) GTEST_SKIP() << "no measured data: set SHARDLAB_DATA";
  const Imported found = import_perseus(path, {});
  EXPECT_EQ(found.model.batch, 8);
  EXPECT_EQ(found.model.layers.size(), 4U);
}

}  // namespace
}  // namespace shardlab
