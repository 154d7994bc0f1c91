#include "traces/perseus_file.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "tests/broken_text.h"
#include "tests/error_of.h"
#include "traces/atomic_file.h"

namespace shardlab {
namespace {

using namespace std::chrono_literals;

/// Two stages, two microbatches, a warm-up and two iterations; the last stage, which loads twice
/// per microbatch, comes first.
const std::string kText = R"([
  {"rank": 1, "iter_time": [9, 1.2, 1.4], "iter_energy": [1, 1, 1],
   "time_breakdown": {
     "load": [[0, 0, 0, 0], [0.001, 0.01, 0.002, 0.02], [0, 0, 0, 0]],
     "forward": [[9, 9, 9], [0.11, 0.12], [0.13, 0.14]],
     "backward": [[9, 9, 9], [0.21, 0.22], [0.23, 0.24]]}},
  {"rank": 0, "iter_time": [8, 1.0, 1.5],
   "time_breakdown": {
     "load": [[0, 0], [0.03, 0.04], [0.05, 0.06]],
     "forward": [[9, 9, 9], [0.31, 0.32], [0.33, 0.34]],
     "backward": [[9, 9, 9], [0.41, 0.42], [0.43, 0.4444444444]]}}
])";

std::string error(const std::string& from, const std::string& to) {
  const std::string text = replaced(kText, from, to);
  return error_of([&] { parse_perseus(text); });
}

TEST(PerseusFile, StagesStandByRankAndWarmUpIsLeftOut) {
  const PerseusRun run = parse_perseus(kText);
  EXPECT_EQ(run.stages, 2);
  EXPECT_EQ(run.microbatches, 2);
  ASSERT_EQ(run.iterations.size(), 2U);
  const PerseusIteration& first = run.iterations[0];
  EXPECT_EQ(run.pass(first, 0, 1).load, 40ms);
  EXPECT_EQ(run.pass(first, 0, 1).forward, 320ms);
  EXPECT_EQ(run.pass(first, 0, 1).backward, 420ms);
  EXPECT_EQ(run.pass(first, 1, 0).forward, 110ms);
  EXPECT_EQ(run.pass(run.iterations[1], 0, 1).backward, 444444444ns);
}

TEST(PerseusFile, LoadsOfOneMicrobatchAddUp) {
  const PerseusRun run = parse_perseus(kText);
  EXPECT_EQ(run.pass(run.iterations[0], 1, 0).load, 11ms);
  EXPECT_EQ(run.pass(run.iterations[0], 1, 1).load, 22ms);
}

TEST(PerseusFile, AnIterationTookTheMedianOfItsStages) {
  const PerseusRun run = parse_perseus(kText);
  EXPECT_EQ(run.iterations[0].measured, 1100ms);
  EXPECT_EQ(run.iterations[1].measured, 1450ms);
}

TEST(PerseusFile, AnErrorNamesThePlace) {
  EXPECT_EQ(error("0.43, 0.4444444444", "0.43, -1"),
            "rank 0: time_breakdown: backward: iteration 2: value 1: negative (-1 s)");
  EXPECT_EQ(error("0.11, 0.12", "0.11, null"),
            "rank 1: time_breakdown: forward: iteration 1: value 1: must be a number of seconds, "
            "is null");
  EXPECT_EQ(error("0.11, 0.12", "0.11, 1e300"),
            "rank 1: time_breakdown: forward: iteration 1: value 1: must be at most 3600 s, is "
            "1e+300 s");
  EXPECT_EQ(error("0.13, 0.14", "0.13"),
            "rank 1: time_breakdown: forward: iteration 2: 1 values for 2 microbatches");
  EXPECT_EQ(error("[0.13, 0.14]", "7"),
            "rank 1: time_breakdown: forward: iteration 2: must be a list");
  EXPECT_EQ(error("[0.03, 0.04]", "[0.03, 0.04, 0.05]"),
            "rank 0: time_breakdown: load: iteration 1: 3 values for 2 microbatches");
  EXPECT_EQ(error("[0.31, 0.32]", "[]"),
            "rank 0: time_breakdown: forward: iteration 1: 0 microbatches");
  EXPECT_EQ(error("[9, 1.2, 1.4]", "[9, 1.2, 0]"), "rank 1: iter_time: iteration 2: must not be 0");
  EXPECT_EQ(error("[9, 1.2, 1.4]", "[9, 1.2]"),
            "rank 1: iter_time: 2 iterations, but iter_time of rank 0 has 3");
  EXPECT_EQ(error("[[9, 9, 9], [0.21, 0.22], [0.23, 0.24]]", "[]"),
            "rank 1: time_breakdown: backward: 0 iterations, but iter_time of rank 0 has 3");
}

TEST(PerseusFile, AnErrorNamesWhatIsMissing) {
  EXPECT_EQ(error(R"("rank": 1, )", ""), "entry 0: rank: missing");
  EXPECT_EQ(error(R"("rank": 1)", R"("rank": 2)"), "entry 0: rank: must be at most 1, is 2");
  EXPECT_EQ(error(R"("rank": 1)", R"("rank": 0)"), "entry 1: rank: 0 stands there twice");
  EXPECT_EQ(error(R"("iter_time": [9, 1.2, 1.4], )", ""), "rank 1: iter_time: missing");
  EXPECT_EQ(error(R"("load": [[0, 0], [0.03, 0.04], [0.05, 0.06]],)", ""),
            "rank 0: time_breakdown: load: missing");
  EXPECT_EQ(error_of([] { parse_perseus("{}"); }), "must be a list with one object per stage");
  EXPECT_EQ(error_of([] { parse_perseus("[]"); }), "has no stages");
  EXPECT_EQ(error_of([] { parse_perseus("[1]"); }), "entry 0: must be an object, is an integer");
  EXPECT_EQ(error_of([] {
              parse_perseus(R"([{"rank": 0, "iter_time": [1], "time_breakdown":
                {"load": [[]], "forward": [[1]], "backward": [[1]]}}])");
            }),
            "rank 0: iter_time: needs two iterations, as the first is warm-up");
}

TEST(PerseusFile, BrokenTextIsAnErrorAndNothingElse) {
  expect_errors_when_cut_off(kText, parse_perseus);
  expect_no_crash_when_flipped(kText, parse_perseus);
}

TEST(PerseusFile, ARunIsHeldAgainstItsName) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(::testing::TempDir()) / "perseus_file";
  fs::create_directories(folder);
  const auto read = [&](const std::string& name) {
    const std::string path = (folder / name).string();
    write_file_atomically(path, kText);
    const std::string what = error_of([&] { read_perseus(path); });
    return what.starts_with(path) ? what.substr(path.size()) : what;
  };
  EXPECT_EQ(read("m.custom_dp1_pp2_tp1_mbs8_nmb2.0.prof.json"), "no error");
  EXPECT_EQ(read("anything.prof.json"), "no error");
  EXPECT_EQ(read("m.custom_dp1_pp4_tp1_mbs8_nmb2.0.prof.json"),
            ": its name says 4 stages (pp), but it has 2");
  EXPECT_EQ(read("m.custom_dp1_pp2_tp1_mbs8_nmb32.0.prof.json"),
            ": its name says 32 microbatches (nmb), but it has 2");
  EXPECT_EQ(read("m.custom_dp2_pp2_tp1_mbs8_nmb2.0.prof.json"),
            ": dp2 tp1: only pipelines without data and tensor parallelism are read");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace shardlab
