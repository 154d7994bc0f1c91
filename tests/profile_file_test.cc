#include "traces/profile_file.h"

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/broken_text.h"
#include "tests/error_of.h"
#include "tests/sample_data.h"
#include "traces/atomic_file.h"

namespace shardlab {
namespace {

std::string text() { return profile_json(sample_profile()); }

std::string error(const std::string& broken) {
  return error_of([&] { parse_profile(broken); });
}

TEST(ProfileFile, WritesTheDocumentedBytes) {
  EXPECT_EQ(text(), read_whole_file(source_file("examples/formats/profile.json")));
}

TEST(ProfileFile, ReadsBackWhatWasWritten) {
  EXPECT_EQ(profile_json(parse_profile(text())), text());
}

TEST(ProfileFile, PutsEachFieldInItsPlace) {
  const Profile read = read_profile(source_file("examples/formats/profile.json"));
  EXPECT_EQ(read.provenance.device, "Example CPU");
  EXPECT_EQ(read.provenance.warm_up, 3);
  EXPECT_EQ(read.provenance.rounds, 20);
  EXPECT_EQ(read.provenance.drift, 0.0125);
  EXPECT_EQ(read.provenance.fixed_work, Duration{250'000'000});
  EXPECT_EQ(read.alone.copy.latency, Duration{1'500});
  EXPECT_EQ(read.loaded.copy.bytes_per_second, 6.5e9);
  EXPECT_EQ(read.loaded.unit_overhead, Duration{24'000});
  EXPECT_EQ(read.loaded.dispatch, Duration{6'000});
  EXPECT_EQ(read.alone.copy_back.bytes_per_second, 7e9);
  EXPECT_EQ(read.loaded.copy_back.latency, Duration{1'900});
  const ModelProfile& model = read.models.at(0);
  EXPECT_EQ(model.model, (ModelSpec{Architecture::kGpt, 1, 64, 2, 32, 0.1}));
  EXPECT_EQ(model.batch, 8);
  const LayerCost& layer = model.layers.at(1);
  EXPECT_EQ(layer.name, "block 0");
  EXPECT_EQ(layer.parameters, 199'936);
  EXPECT_EQ(layer.state, 399'872);
  EXPECT_EQ(layer.output, 65'536);
  EXPECT_EQ(layer.forward_workspace, 131'072);
  EXPECT_EQ(layer.saved, 524'288);
  EXPECT_EQ(layer.backward_workspace, 262'144);
  EXPECT_EQ(layer.alone.forward.median, Duration{900'000});
  EXPECT_EQ(layer.alone.recompute.spread, Duration{4});
  EXPECT_EQ(layer.loaded.backward.median, Duration{1'940'000});
  EXPECT_EQ(layer.loaded.step.samples, 20);
}

TEST(ProfileFile, HasStepsOnTheHostWhereTheyWereMeasured) {
  Profile profile = sample_profile();
  EXPECT_EQ(text().find("host_step"), std::string::npos);
  profile.models[0].layers[1].host_step = Measured{Duration{70}, Duration{3}, 7};
  const std::string written = profile_json(profile);
  const Profile read = parse_profile(written);
  EXPECT_FALSE(read.models[0].layers[0].host_step);
  ASSERT_TRUE(read.models[0].layers[1].host_step);
  EXPECT_EQ(read.models[0].layers[1].host_step->median, Duration{70});
  EXPECT_EQ(read.models[0].layers[1].host_step->samples, 7);
  EXPECT_EQ(profile_json(read), written);
}

/// What a profile of an accelerator has besides.
Profile profile_of_a_gpu() {
  Profile profile = sample_profile();
  profile.provenance.activity = {"CUPTI 130000", 0.01, 0.25, 0.125, 3, 0.5, 0.975};
  profile.provenance.repeats = {0.013, 0.02, "interval"};
  profile.provenance.conditions = {{"GPU 0 power state", "P0", "P2"}};
  profile.provenance.allocator_rounding = 0.001;
  ModelProfile& model = profile.models[0];
  model.model.precision = Precision::kBf16;
  model.whole = {Duration{4'000'000}, Duration{7}, 20, Duration{3'500'000}};
  model.layers[1].alone.forward.busy = Duration{850'000};
  model.layers[1].loaded.step.busy = Duration{};
  model.layers[1].alone.backward.outliers = 2;
  model.around = {Duration{3'900'000}, Duration{9}, 20};
  const CopyClass up{CopyDirection::kHostToDevice, true}, down{CopyDirection::kDeviceToHost};
  model.layers[1].recorded[Phase::kBackward] = {
      5, 60, Duration{500}, Duration{20}, {{up, {5, 4096, Duration{7}}}, {down, {1, 4}}}};
  model.unattributed = {5, 0, Duration{}, Duration{}, {{down, {10, 80, Duration{30}}}}};
  return profile;
}

TEST(ProfileFile, ReadsBackANormOrRefusesOneThatNobodyKnows) {
  Profile profile = sample_profile();
  profile.models[0].model.batch_norm = true;
  std::string written = profile_json(profile);
  EXPECT_TRUE(parse_profile(written).models[0].model.batch_norm);
  const std::string norm = "\"norm\": \"batch\"";
  written.replace(written.find(norm), norm.size(), "\"norm\": \"group\"");
  EXPECT_NE(error_of([&] { parse_profile(written); }).find("norm: is \"group\", must be \"batch\""),
            std::string::npos);
}

TEST(ProfileFile, ReadsBackAFeedForwardWidthAndNamesTheUsualOneNot) {
  Profile profile = sample_profile();
  ModelSpec& model = profile.models[0].model;
  EXPECT_EQ(profile_json(profile).find("feed_forward"), std::string::npos);
  model.feed_forward = model.width;
  std::string written = profile_json(profile);
  EXPECT_EQ(parse_profile(written).models[0].model, model);
  const std::string key = fmt::format("\"feed_forward\": {}", model.width);
  written.replace(written.find(key), key.size(),
                  fmt::format("\"feed_forward\": {}", 4 * model.width));
  EXPECT_EQ(parse_profile(written).models[0].model.feed_forward, 0);
}

TEST(ProfileFile, ReadsBackWhatOnlyAnAcceleratorHas) {
  const std::string written = profile_json(profile_of_a_gpu());
  const Profile read = parse_profile(written);
  EXPECT_EQ(profile_json(read), written);
  ASSERT_TRUE(read.provenance.activity);
  EXPECT_EQ(read.provenance.activity->source, "CUPTI 130000");
  EXPECT_EQ(read.provenance.activity->unattributed, 0.01);
  EXPECT_EQ(read.provenance.activity->by_launch, 0.25);
  EXPECT_EQ(read.provenance.activity->slow_down, 0.125);
  EXPECT_EQ(read.provenance.activity->dropped, 3);
  EXPECT_EQ(read.provenance.activity->mismatched, 0.5);
  EXPECT_EQ(read.provenance.activity->over_events, 0.975);
  EXPECT_EQ(read.models[0].around->median, Duration{3'900'000});
  const Profile made = profile_of_a_gpu();
  EXPECT_TRUE(read.models[0].layers[0].recorded.empty());
  EXPECT_EQ(read.models[0].layers[1].recorded, made.models[0].layers[1].recorded);
  EXPECT_EQ(read.models[0].unattributed, made.models[0].unattributed);
  EXPECT_FALSE(read.models[0].whole_step);
  ASSERT_TRUE(read.provenance.repeats);
  EXPECT_EQ(read.provenance.repeats->interval, 0.013);
  EXPECT_EQ(read.provenance.repeats->wanted, 0.02);
  EXPECT_EQ(read.provenance.repeats->ended, "interval");
  ASSERT_EQ(read.provenance.conditions.size(), 1U);
  EXPECT_EQ(read.provenance.conditions[0].what, "GPU 0 power state");
  EXPECT_EQ(read.provenance.conditions[0].before, "P0");
  EXPECT_EQ(read.provenance.conditions[0].after, "P2");
  EXPECT_EQ(read.provenance.allocator_rounding, 0.001);
  EXPECT_EQ(read.models.at(0).layers.at(1).alone.backward.outliers, 2);
  const ModelProfile& model = read.models.at(0);
  EXPECT_EQ(model.model.precision, Precision::kBf16);
  ASSERT_TRUE(model.whole);
  EXPECT_EQ(model.whole->median, Duration{4'000'000});
  EXPECT_EQ(model.whole->busy, Duration{3'500'000});
  EXPECT_EQ(model.layers.at(1).alone.forward.busy, Duration{850'000});
  EXPECT_EQ(model.layers.at(1).loaded.step.busy, Duration{}) << "none is not zero";
  EXPECT_EQ(model.layers.at(1).loaded.forward.busy, std::nullopt);
  EXPECT_EQ(read.alone.copy_back.latency, Duration{1'600});
  EXPECT_EQ(read.loaded.copy_back.bytes_per_second, 6e9);
}

TEST(ProfileFile, AnOlderOneCopiesBackAsThereAndIsInFp32) {
  std::string old = text();
  for (const std::string line :
       {"  \"copy_back_latency_ns\": 1600,\n", "  \"copy_back_bytes_per_second\": 7000000000.0,\n",
        "  \"copy_back_latency_ns\": 1900,\n", "  \"copy_back_bytes_per_second\": 6000000000.0,\n",
        "   \"precision\": \"fp32\",\n"}) {
    old = replaced(old, line, "");
  }
  const Profile read = parse_profile(old);
  EXPECT_EQ(read.alone.copy_back.latency, Duration{1'500});
  EXPECT_EQ(read.alone.copy_back.bytes_per_second, 8e9);
  EXPECT_EQ(read.loaded.copy_back.latency, Duration{1'800});
  EXPECT_EQ(read.loaded.copy_back.bytes_per_second, 6.5e9);
  EXPECT_EQ(read.models.at(0).model.precision, Precision::kFp32);
  EXPECT_FALSE(read.models.at(0).whole);
  EXPECT_FALSE(read.provenance.activity);
  EXPECT_FALSE(read.models.at(0).layers.at(1).alone.forward.busy);
}

TEST(ProfileFile, NamesWhereAValueOfAnAcceleratorIsWrong) {
  const std::string gpu = profile_json(profile_of_a_gpu());
  const std::string model = "model 0: gpt 1x64, 2 heads, context 32, bf16, batch 8: ";
  EXPECT_EQ(error(replaced(gpu, "\"forward_busy_ns\": 850000", "\"forward_busy_ns\": -1")),
            model + "layer 1: alone: forward_busy_ns: negative (-1)");
  EXPECT_EQ(error(replaced(gpu, "\"whole_busy_ns\": 3500000", "\"whole_busy_ns\": \"x\"")),
            model + "whole_busy_ns: must be an integer, is a string");
  EXPECT_EQ(error(replaced(gpu, "\"whole_samples\": 20", "\"whole_samples\": -20")),
            model + "whole_samples: negative (-20)");
  EXPECT_EQ(error(replaced(gpu, "\"precision\": \"bf16\"", "\"precision\": \"tf32\"")),
            "model 0: precision: \"tf32\" is no precision; there are fp32 and bf16");
  EXPECT_EQ(error(replaced(gpu, "\"dropped\": 3", "\"dropped\": 0.5")),
            "provenance: activity: dropped: must be an integer, is a number with a fraction");
  EXPECT_EQ(error(replaced(gpu, "\"slow_down\": 0.125,", "")),
            "provenance: activity: slow_down: missing");
  EXPECT_EQ(error(replaced(gpu, "\"copy_back_bytes_per_second\": 6000000000.0,", "")),
            "loaded: copy_back_bytes_per_second: missing");
}

TEST(ProfileFile, ANullIsUnknownAndStaysSo) {
  const std::string lacking =
      replaced(replaced(text(), "\"parameter_bytes\": 199936", "\"parameter_bytes\": null"),
               "\"dispatch_ns\": 5000", "\"dispatch_ns\": null");
  const Profile read = parse_profile(lacking);
  const LayerCost& layer = read.models.at(0).layers.at(1);
  EXPECT_TRUE(layer.missing.has(CostField::kParameters));
  EXPECT_FALSE(layer.missing.has(CostField::kState));
  EXPECT_TRUE(read.alone.missing.has(CostField::kDispatch));
  EXPECT_FALSE(read.loaded.missing.any());
  EXPECT_EQ(profile_json(read), lacking);
}

TEST(ProfileFile, WhatIsUnknownIsRefusedByLayerAndField) {
  Profile profile = sample_profile();
  ModelProfile& entry = profile.models.at(0);
  entry.layers.at(0).missing.set(CostField::kStep);
  entry.layers.at(1).missing.set(CostField::kStep);
  entry.layers.at(1).missing.set(CostField::kSaved);
  EXPECT_EQ(missing_costs(entry), (std::vector<std::string>{"saved_bytes of layer 1 (block 0)",
                                                            "step_ns of every layer"}));
  const std::string refused =
      error_of([&] { find(profile, entry.model, entry.batch, entry.optimizer); });
  EXPECT_TRUE(
      refused.starts_with("gpt 1x64, 2 heads, context 32, batch 8: not known: saved_bytes "
                          "of layer 1 (block 0), step_ns of every layer; import it again"))
      << refused;
  EXPECT_EQ(error_of([&] { refuse_unknown(profile, entry.model, entry.batch, entry.optimizer); }),
            refused);
}

TEST(ProfileFile, AnImportedModelReadsBack) {
  Profile profile = sample_profile();
  ModelProfile& entry = profile.models.at(0);
  entry.model = {Architecture::kImported};
  entry.model.imported = "resnet \"50\"";
  EXPECT_EQ(missing_costs(entry), std::vector<std::string>{"input_bytes"});
  EXPECT_EQ(missing_costs(parse_profile(profile_json(profile)).models.at(0)),
            std::vector<std::string>{"input_bytes"});
  entry.input = 4096;
  profile.provenance.notes = {"step_ns of 2 layers: set by user"};
  const Profile read = parse_profile(profile_json(profile));
  EXPECT_EQ(read.models.at(0).model, entry.model);
  EXPECT_EQ(read.models.at(0).input, 4096);
  EXPECT_EQ(read.provenance.notes, profile.provenance.notes);
}

TEST(ProfileFile, NamesWhereAValueIsWrong) {
  const std::string where = "model 0: gpt 1x64, 2 heads, context 32, batch 8: layer 1: ";
  EXPECT_EQ(error(replaced(text(), "\"forward_ns\": 900000", "\"forward_ns\": -3")),
            where + "alone: forward_ns: negative (-3)");
  EXPECT_EQ(error(replaced(text(), "\"forward_ns\": 970000,", "")),
            where + "loaded: forward_ns: missing");
  EXPECT_EQ(error(replaced(text(), "\"saved_bytes\": 524288", "\"saved_bytes\": \"512 KiB\"")),
            where + "saved_bytes: must be an integer, is a string");
  EXPECT_EQ(error(replaced(text(), "\"step_ns\": 450000", "\"step_ns\": 450000.5")),
            where + "alone: step_ns: must be an integer, is a number with a fraction");
  EXPECT_EQ(error(replaced(text(), "\"step_ns\": 450000", "\"step_ns\": 18000000000000000000")),
            where + "alone: step_ns: must be at most 1152921504606846976, is 18000000000000000000");
  EXPECT_EQ(error(replaced(text(), "\"state_bytes\": 49152,", "\"state_bytes\": [],")),
            "model 0: gpt 1x64, 2 heads, context 32, batch 8: layer 0: "
            "state_bytes: must be an integer, is a list");
  EXPECT_EQ(error(replaced(text(), "\"model\": \"gpt\"", "\"model\": \"rnn\"")),
            "model 0: model: \"rnn\" is no model; there are mlp, gpt, bert and vit");
  EXPECT_EQ(error(replaced(text(), "\"drift\": 0.0125", "\"drift\": -1")),
            "provenance: drift: negative (-1)");
  EXPECT_EQ(error(replaced(text(), "\"dispatch_ns\": 6000", "\"dispatch_ns\": true")),
            "loaded: dispatch_ns: must be an integer, is true or false");
}

TEST(ProfileFile, RefusesOtherFormatsAndVersions) {
  EXPECT_EQ(error(replaced(text(), "shardlab-profile", "shardlab-plan")),
            "is a shardlab-plan, not a shardlab-profile");
  EXPECT_EQ(error(replaced(text(), "\"version\": 1", "\"version\": 2")),
            "version: 2 is not known to this program, which reads 1");
  EXPECT_EQ(error("{}"), "is no shardlab-profile: it has no \"format\"");
  EXPECT_EQ(error("[]"), "is no shardlab-profile: it has no \"format\"");
  EXPECT_EQ(error("7"), "is no shardlab-profile: it has no \"format\"");
}

TEST(ProfileFile, SaysThatAFileIsCutOff) {
  EXPECT_EQ(error(text().substr(0, 200)), "byte 200: the file ends too early; it may be cut off");
  EXPECT_EQ(error(""), "is empty");
  EXPECT_EQ(error("\n"), "is empty");
  EXPECT_EQ(error("{\"format\": nonsense}").substr(0, 8), "byte 13:");
}

TEST(ProfileFile, PutsThePathFirst) {
  const std::string path = ::testing::TempDir() + "bad_profile.json";
  write_file_atomically(path, "{\"format\": \"shardlab-profile\"}");
  EXPECT_EQ(error_of([&] { read_profile(path); }), path + ": version: missing");
  EXPECT_EQ(error_of([] { read_profile("no/such.json"); }),
            "no/such.json: cannot read: No such file or directory");
}

TEST(ProfileFile, DoesNotWriteANumberThatJsonCannotHold) {
  Profile profile = sample_profile();
  profile.provenance.drift = std::numeric_limits<double>::quiet_NaN();
  const std::string path = ::testing::TempDir() + "nan_profile.json";
  EXPECT_EQ(error_of([&] { write_profile(path, profile); }), path + ": nan cannot be written");
}

TEST(ProfileFile, IsAnErrorWhereverItIsCutOff) {
  expect_errors_when_cut_off(text(), parse_profile);
}
TEST(ProfileFile, SurvivesFlippedBytes) { expect_no_crash_when_flipped(text(), parse_profile); }

}  // namespace
}  // namespace shardlab
