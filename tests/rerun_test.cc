#include <filesystem>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "cli/verbs.h"
#include "traces/result_file.h"

namespace shardlab {
namespace {

/// A result of fig6 with `change` made to it, its hashes as they should be, run again.
template <typename Change>
std::pair<int, std::string> rerun(const Change& change) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / "rerun.json").string();
  const char* study[] = {"shardlab",  "study",  "fig6",     "--policies",
                         "lrtf,fifo", "--json", "--result", path.c_str()};
  testing::internal::CaptureStdout();
  EXPECT_EQ(run_command(8, study), 0);
  Result result = read_result(path);
  change(result);
  write_result(path, result);
  const char* again[] = {"shardlab", "rerun", path.c_str()};
  const int code = run_command(3, again);
  std::filesystem::remove(path);
  const std::string text = testing::internal::GetCapturedStdout();
  return {code, text.substr(text.rfind("study, seed 1"))};
}

TEST(Rerun, SaysThatNothingDiffers) {
  const auto [code, text] = rerun([](Result&) {});
  EXPECT_EQ(code, 0);
  EXPECT_NE(text.find("the same output to the byte: "), std::string::npos);
}

TEST(Rerun, SaysWhatDiffersAndFails) {
  const auto [code, text] = rerun([](Result& result) {
    result.output["grids"][0]["settings"][0]["makespan_ns"]["lrtf"][0] = 5;
    result.output["rows"][1].erase("verdict");
  });
  EXPECT_EQ(code, 1);
  EXPECT_NE(text.find("another output: was "), std::string::npos);
  EXPECT_NE(text.find("  /grids/0/settings/0/makespan_ns/lrtf/0: was 5, is 6000000000\n"),
            std::string::npos);
  EXPECT_NE(text.find("  /rows/1/verdict: was null, is "), std::string::npos);
}

TEST(Rerun, SaysThatAnotherVersionFoundTheSame) {
  const auto [code, text] = rerun([](Result& result) { result.shardlab = "0.0.1"; });
  EXPECT_EQ(code, 0);
  EXPECT_NE(text.find("written by shardlab 0.0.1\nrun again by another version, shardlab "),
            std::string::npos);
}

TEST(Rerun, FindsAnotherOutputOfOtherInputs) {
  const auto [code, text] = rerun([](Result& result) {
    std::string& grid = result.inputs.at(0).text;
    grid.replace(grid.find("count = 3"), 9, "count = 4");
  });
  EXPECT_EQ(code, 1);
  EXPECT_NE(text.find("bound_ns/0: was 6000000000, is 8000000000"), std::string::npos);
}

}  // namespace
}  // namespace shardlab
