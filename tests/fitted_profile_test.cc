#include "fit/fitted_profile.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "fit/guess.h"
#include "tests/error_of.h"
#include "tests/lawful_profile.h"
#include "traces/profile_file.h"

namespace shardlab {
namespace {

Shape gpt(int batch) {
  return {{Architecture::kGpt, 4, 256, 4, 64, 0, Precision::kFp32}, OptimizerKind::kSgd, batch};
}

Profile profile(const std::string& path, const std::vector<int>& batches) {
  Profile made;
  made.path = path;
  made.provenance.device = "GPU A";
  made.provenance.libtorch = "2.13.0";
  made.alone.unit_overhead = Duration{static_cast<std::int64_t>(path.size()) * 1000};
  made.alone.copy.bytes_per_second = 1e9;
  for (const int batch : batches) made.models.push_back(lawful(gpt(batch)));
  return made;
}

Workload workload(int batch) {
  Job job;
  job.name = "job";
  job.model = gpt(batch).model;
  job.optimizer.kind = OptimizerKind::kSgd;
  job.batch = batch;
  return {{job}};
}

TEST(Merged, ProfilesOfOneDeviceAreOne) {
  const Profile all = merged({profile("a", {2}), profile("bbb", {8})}, {});
  EXPECT_EQ(all.models.size(), 2U);
  EXPECT_EQ(all.path, "a, bbb");
  EXPECT_EQ(all.alone.unit_overhead, Duration{2000}) << "the mean";
  EXPECT_FALSE(all.provenance.estimated.has_value());
}

TEST(Merged, RefusesAnotherDeviceOrLibraryAndNamesBoth) {
  Profile other = profile("b.json", {8});
  other.provenance.device = "GPU B";
  const std::string device = error_of([&] { (void)merged({profile("a.json", {2}), other}, {}); });
  EXPECT_EQ(device,
            "a.json and b.json are of different devices: \"GPU A\" and \"GPU B\"; take profiles of "
            "one, or --accept-profile device");
  EXPECT_EQ(merged({profile("a.json", {2}), other}, {.device = true}).models.size(), 2U);
  other.provenance.device = "GPU A";
  other.provenance.libtorch = "2.12.0";
  const std::string library = error_of([&] { (void)merged({profile("a.json", {2}), other}, {}); });
  EXPECT_NE(library.find("2.13.0 and 2.12.0"), std::string::npos) << library;
  EXPECT_EQ(merged({profile("a.json", {2}), other}, {.library = true}).models.size(), 2U);
}

TEST(Merged, RefusesOneModelTwice) {
  const std::string error = error_of([&] {
    (void)merged({profile("a", {2, 4}), profile("b", {4})}, {});
  });
  EXPECT_NE(error.find("b: gpt 4x256, 4 heads, context 64, batch 4 is also in a"),
            std::string::npos)
      << error;
}

TEST(Complete, AnotherFeedForwardWidthIsEstimatedByItsOwnWork) {
  const Profile measured = profile("a", {2, 16});
  for (const int width : {64, 256, 2048}) {
    Shape shape = gpt(16);
    shape.model.feed_forward = width;
    const Profile found = fitted(measured, {shape}, {});
    const ModelProfile& entry = find(found, shape.model, 16, OptimizerKind::kSgd);
    EXPECT_TRUE(entry.interval.has_value()) << "its width is not the one that was measured";
    EXPECT_NEAR(minibatch_time(entry) / minibatch_time(lawful(shape)), 1, 1e-3) << width;
    EXPECT_EQ(entry.layers[1].parameters, parameter_bytes(shape.model, kind_of(shape.model, 1)));
  }
}

TEST(Complete, EstimatesMicrobatchesFromTwoBatches) {
  Profile two = profile("a", {2, 16});
  complete(two, workload(16), {});
  ASSERT_TRUE(two.provenance.estimated.has_value());
  for (const int batch : {1, 4, 8}) {
    const ModelProfile& entry = find(two, gpt(batch).model, batch, OptimizerKind::kSgd);
    EXPECT_TRUE(entry.interval.has_value());
    EXPECT_NEAR(minibatch_time(entry) / minibatch_time(lawful(gpt(batch))), 1, 1e-3);
  }
  EXPECT_FALSE(find(two, gpt(16).model, 16, OptimizerKind::kSgd).interval.has_value())
      << "what was measured stays so";
}

TEST(Complete, AsksBeforeItEstimatesFromOneBatchOrAnotherPrecision) {
  Profile one = profile("a", {16});
  complete(one, workload(16), {});
  EXPECT_EQ(one.models.size(), 1U);
  EXPECT_FALSE(one.provenance.estimated.has_value());
  complete(one, workload(16), {.batch = true});
  EXPECT_EQ(one.models.size(), 5U);

  Workload half = workload(16);
  half.jobs[0].model.precision = Precision::kBf16;
  Profile other = profile("a", {16});
  complete(other, half, {.batch = true});
  EXPECT_EQ(other.models.size(), 1U);
  complete(other, half, {.precision = true});
  EXPECT_GE(*find(other, half.jobs[0].model, 16, OptimizerKind::kSgd).interval, 1);
}

TEST(Fitted, KeepsWhatWasMeasuredAndReadsBack) {
  const Profile made = fitted(profile("a", {2, 8}), {gpt(8), gpt(4)}, {});
  ASSERT_EQ(made.models.size(), 2U);
  EXPECT_FALSE(made.models[0].interval.has_value());
  EXPECT_TRUE(made.models[1].interval.has_value());
  EXPECT_EQ(made.provenance.estimated->interval, *made.models[1].interval);
  EXPECT_TRUE(made.provenance.estimated->held_out.has_value());
  const std::string text = profile_json(made);
  EXPECT_EQ(profile_json(parse_profile(text)), text);
  EXPECT_EQ(parse_profile(text).provenance.estimated->inputs, made.provenance.estimated->inputs);
}

TEST(Fitted, NotesGoWithMeasuredEntries) {
  Profile measured = profile("a", {2, 8});
  measured.provenance.notes = {"loaded is faulty"};
  EXPECT_EQ(fitted(measured, {gpt(8), gpt(4)}, {}).provenance.notes, measured.provenance.notes);
  EXPECT_TRUE(fitted(measured, {gpt(4)}, {}).provenance.notes.empty());
}

TEST(Fitted, AnotherDeviceEstimatesEverythingAndSaysFromWhat) {
  DataSheet from{"GPU A", {}, 20e12, 0, 0, 1e12, 16e9, "sheet of A"};
  DataSheet to{"GPU B", {}, 10e12, 0, 0, 0.5e12, 8e9, "sheet of B"};
  Profile measured = profile("a", {2, 8});
  for (ModelProfile& model : measured.models) model.layers[0].alone.forward.outliers = 1;
  const Profile made = fitted(measured, {gpt(8)}, OtherDevice{from, to});
  const std::string text = profile_json(made);
  EXPECT_EQ(profile_json(parse_profile(text)), text);
  EXPECT_EQ(made.provenance.device, "GPU B");
  EXPECT_EQ(made.alone.copy.bytes_per_second, 0.5e9);
  ASSERT_EQ(made.provenance.estimated->inputs.size(), 3U);
  EXPECT_EQ(made.provenance.estimated->inputs[2], "data sheet of GPU B: sheet of B");
  EXPECT_GE(*made.models[0].interval, kReachedSpread);
  const double longer = minibatch_time(made.models[0]) / minibatch_time(lawful(gpt(8)));
  EXPECT_GT(longer, 1.3);
  EXPECT_LE(longer, 2);
}

}  // namespace
}  // namespace shardlab
