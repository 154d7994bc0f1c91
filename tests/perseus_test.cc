#include "validate/perseus.h"

#include <cmath>
#include <filesystem>
#include <map>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/error_of.h"
#include "tests/measured_data.h"
#include "tests/pipeline_recurrence.h"
#include "traces/atomic_file.h"
#include "validate/perseus_report.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// A folder of made-up runs, whose iterations take what the recurrence says.
class Perseus : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::path(::testing::TempDir()) /
        (std::string("perseus_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  struct Shape {
    int stages = 4, microbatches = 12, iterations = 6;
  };

  /// `factor`: what the measured times are made longer by.
  void write(const std::string& name, const Shape& shape, const PipelineOverheads& overheads,
             double factor = 1) {
    const auto microbatches = static_cast<std::size_t>(shape.microbatches);
    nlohmann::json stages = nlohmann::json::array();
    for (int s = 0; s < shape.stages; ++s) {
      stages.push_back({{"rank", s}, {"iter_time", {99}}});
      for (const char* key : {"load", "forward", "backward"}) {
        stages.back()["time_breakdown"][key] = {std::vector<double>(microbatches + 1, 9.0)};
      }
    }
    // Stages differ by up to a third from run to run, and every pass a little.
    std::vector<double> pace;
    for (int s = 0; s < shape.stages; ++s)
      pace.push_back(std::uniform_real_distribution(1.0, 1.3)(random_));
    for (int i = 0; i < shape.iterations; ++i)
      add_iteration(stages, shape, overheads, pace, factor);
    fs::create_directories((folder_ / name).parent_path());
    write_file_atomically((folder_ / name).string(), stages.dump());
  }

  PerseusValidation validated(std::size_t threads = 1) const {
    return validate_perseus(folder_.string(), threads);
  }

  fs::path folder_;

 private:
  void add_iteration(nlohmann::json& stages, const Shape& shape, const PipelineOverheads& overheads,
                     const std::vector<double>& pace, double factor) {
    PerseusIteration iteration;
    for (std::size_t s = 0; s < pace.size(); ++s) {
      std::vector<double> load, forward, backward;
      for (int m = 0; m < shape.microbatches; ++m) {
        load.push_back(s == 0 ? 0.005 : 0);
        forward.push_back(0.1 * pace[s] + std::uniform_real_distribution(0.0, 0.01)(random_));
        backward.push_back(0.2 * pace[s] + std::uniform_real_distribution(0.0, 0.01)(random_));
        const auto time = [](double s) { return Duration(std::llround(s * 1e9)); };
        iteration.passes.push_back(
            {time(load.back()), time(forward.back()), time(backward.back())});
      }
      nlohmann::json& breakdown = stages[s]["time_breakdown"];
      breakdown["load"].push_back(load);
      breakdown["forward"].push_back(forward);
      breakdown["backward"].push_back(backward);
    }
    const Duration took = recurrence(shape.stages, shape.microbatches, iteration, overheads);
    for (auto& stage : stages) stage["iter_time"].push_back(factor * seconds(took));
  }

  std::mt19937 random_{11};
};

constexpr PipelineOverheads kFast{2ms, 40ms}, kSlow{9ms, 300ms};

TEST_F(Perseus, FindsTheOverheadsOfEachMachine) {
  for (int i = 0; i < 6; ++i) {
    write(fmt::format("fast/m{}.prof.json", i), {4, i < 3 ? 12 : 40, 6}, kFast);
    write(fmt::format("slow/m{}.prof.json", i), {8, i < 3 ? 12 : 40, 6}, kSlow);
  }
  const PerseusValidation found = validated();
  ASSERT_EQ(found.fits.size(), 4U);
  for (const PerseusFit& fit : found.fits) {
    const PipelineOverheads& truth = fit.machine == "fast, 4 stages" ? kFast : kSlow;
    EXPECT_EQ(fit.runs, 3U) << fit.machine;
    EXPECT_NEAR(seconds(fit.overheads.transfer), seconds(truth.transfer), 1e-6) << fit.machine;
    EXPECT_NEAR(seconds(fit.overheads.step), seconds(truth.step), 1e-5) << fit.machine;
  }
  for (const PerseusPrediction& run : found.runs) {
    EXPECT_LT(run.replay.error(), 1e-4) << run.replay.name;
    EXPECT_LT(run.plain.signed_error(), -0.005) << run.replay.name;
    ASSERT_TRUE(run.blind);
    EXPECT_LT(run.blind->error(), 0.02) << run.replay.name;
  }
  EXPECT_TRUE(found.warnings.empty());
}

TEST_F(Perseus, ARunIsPredictedWithoutItself) {
  for (int i = 0; i < 4; ++i) write(fmt::format("m/{}.prof.json", i), {}, kFast);
  const PerseusValidation before = validated();
  const ValidatedRun& first = before.runs[0].replay;
  write("m/0.prof.json", {}, kFast, 1.02);  // Other passes and another time: half a changes.
  const PerseusValidation after = validated();
  EXPECT_NE(after.runs[0].replay.predicted_s, first.predicted_s);
  EXPECT_EQ(after.runs[2].replay.predicted_s, before.runs[2].replay.predicted_s);
  EXPECT_NE(after.runs[1].replay.predicted_s, before.runs[1].replay.predicted_s);
}

TEST_F(Perseus, RunsBelongToHalvesInTurn) {
  for (const char* name : {"x/deep/b", "x/a", "x/c", "y/a", "alone"}) {
    write(std::string(name) + ".prof.json", {2, 3, 2}, kFast);
  }
  write("x/ab.prof.json", {4, 3, 2}, kFast);
  std::map<std::string, std::string> found;
  for (const PerseusPrediction& run : validated().runs) {
    found[run.replay.name] = run.machine + ": " + run.half;
  }
  const std::string own = folder_.filename().string();
  const std::map<std::string, std::string> expected{
      {"alone.prof.json", own + ", 2 stages: a"}, {"x/a.prof.json", "x, 2 stages: a"},
      {"x/ab.prof.json", "x, 4 stages: a"},       {"x/c.prof.json", "x, 2 stages: b"},
      {"x/deep/b.prof.json", "x, 2 stages: a"},   {"y/a.prof.json", "y, 2 stages: a"}};
  EXPECT_EQ(found, expected);
}

TEST_F(Perseus, ASingleRunIsPredictedWithoutOverheads) {
  write("m/only.prof.json", {4, 12, 1}, kFast);
  const PerseusValidation found = validated();
  ASSERT_EQ(found.runs.size(), 1U);
  EXPECT_EQ(found.runs[0].replay.predicted_s, found.runs[0].plain.predicted_s);
  EXPECT_FALSE(found.runs[0].blind);
  EXPECT_EQ(
      found.warnings,
      (std::vector<std::string>{
          "m, 4 stages: a single run, so there is no other to fit transfer and step on; it is "
          "predicted without them",
          "m/only.prof.json: one iteration after warm-up, no blind prediction"}));
  EXPECT_TRUE(perseus_json(found)["blind"]["median"].is_null());
  EXPECT_NE(perseus_text(found), "");
}

TEST_F(Perseus, AMinorityThatNothingExplainsSpoilsNoOther) {
  for (int i = 0; i < 20; ++i) {
    write(fmt::format("m/{:02}.prof.json", i), {}, kFast, i / 2 % 5 == 0 ? 2 : 1);
  }
  int explained = 0;
  for (const PerseusPrediction& run : validated().runs)
    explained += run.replay.error() < 0.005 ? 1 : 0;
  EXPECT_EQ(explained, 16);
}

TEST_F(Perseus, MediansLeaveOutliersOut) {
  for (int i = 0; i < 4; ++i) write(fmt::format("m/{}.prof.json", i), {4, 12, 7}, kFast);
  const std::string path = (folder_ / "m/1.prof.json").string();
  nlohmann::json stages = nlohmann::json::parse(read_whole_file(path));
  for (auto& stage : stages) stage["iter_time"][3] = 50.0;
  stages[2]["iter_time"][5] = 0.5;  // One stage began it later than the others.
  write_file_atomically(path, stages.dump());
  for (const PerseusPrediction& run : validated().runs) EXPECT_LT(run.replay.error(), 0.01);
}

TEST_F(Perseus, ThreadsDoNotChangeTheResult) {
  for (int i = 0; i < 6; ++i) write(fmt::format("m/{}.prof.json", i), {}, kFast);
  EXPECT_EQ(perseus_json(validated(1)), perseus_json(validated(3)));
}

TEST_F(Perseus, LinkedFoldersAreRead) {
  write("x/a.prof.json", {2, 3, 2}, kFast);
  fs::create_directory_symlink(folder_ / "x", folder_ / "y");
  const PerseusValidation found = validated();
  ASSERT_EQ(found.runs.size(), 2U);
  EXPECT_EQ(found.runs[1].replay.name, "y/a.prof.json");
}

TEST_F(Perseus, AWrongFileIsNamed) {
  write("m/good.prof.json", {2, 3, 2}, kFast);
  write_file_atomically((folder_ / "m/bad.prof.json").string(), "[{\"rank\": 0}]");
  const std::string reason =
      (folder_ / "m/bad.prof.json").string() + ": rank 0: iter_time: missing";
  const PerseusValidation found = validated(2);
  ASSERT_EQ(found.refused.size(), 1U);
  EXPECT_EQ(found.refused[0].name, "m/bad.prof.json");
  EXPECT_EQ(found.refused[0].reason, reason);
  ASSERT_EQ(found.runs.size(), 1U);
  EXPECT_EQ(found.runs[0].replay.name, "m/good.prof.json");
  EXPECT_EQ(found.runs[0].half, 'a');
  fs::remove(folder_ / "m/good.prof.json");
  EXPECT_EQ(error_of([&] { validated(); }), reason);  // None is left.
}

TEST_F(Perseus, AFolderWithoutProfilesIsAnError) {
  const std::string folder = folder_.string();
  EXPECT_EQ(error_of([&] { validated(); }).substr(0, folder.size() + 25),
            folder + ": holds no *.prof.json; P");
  EXPECT_EQ(error_of([&] { validate_perseus(folder + "/no", 1); }),
            folder + "/no: there is no such folder");
  write_file_atomically(folder + "/file", "");
  EXPECT_EQ(error_of([&] { validate_perseus(folder + "/file", 1); }),
            folder + "/file: is no folder; give the one that holds it");
}

TEST(PerseusData, ThePublishedRunsAreMet) {
  const std::string folder = measured_data("perseus");
  if (folder.empty()) GTEST_SKIP() << "no perseus/ in $SHARDLAB_DATA or ../shared/data";
  const PerseusValidation found = validate_perseus(folder, 2);
  std::vector<ValidatedRun> replay, blind;
  for (const PerseusPrediction& run : found.runs) {
    replay.push_back(run.replay);
    ASSERT_TRUE(run.blind) << run.replay.name;
    blind.push_back(*run.blind);
  }
  EXPECT_EQ(replay.size(), 36U);
  EXPECT_LE(summarize(replay).median, 0.01);
  EXPECT_LE(summarize(replay).p95, 0.04);
  EXPECT_LE(summarize(blind).median, 0.01);  // 0.6 and 2.2 % when this was written.
  EXPECT_LE(summarize(blind).p95, 0.04);
}

}  // namespace
}  // namespace shardlab
