#include "traces/vtrain_file.h"

#include <string>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/broken_text.h"
#include "tests/error_of.h"

namespace shardlab {
namespace {

const std::string kHeader =
    "\xef\xbb\xbf# GPUs,global batch,micro batch,hidden size,attention heads,# layers,"
    "sequence length,tensor parallelism,data parallelism,pipeline parallelism,"
    "iteration time (ms)\n";
const std::string kRow = "8,16,2,1024,16,24,512,1,2,4,372.25\n";

std::string error(const std::string& text) {
  return error_of([&] { parse_vtrain(text, "x.csv"); });
}

/// The error when the good row has `to` where it has `from`.
std::string error_with(const std::string& from, const std::string& to) {
  return error(kHeader + replaced(kRow, from, to));
}

TEST(VtrainFile, ReadsARow) {
  const auto rows = parse_vtrain(kHeader + "\n" + kRow, "x.csv");
  ASSERT_EQ(rows.size(), 1u);
  const VtrainRow& row = rows.front();
  EXPECT_EQ(row.line, 3);
  EXPECT_EQ(row.gpt.hidden, 1024);
  EXPECT_EQ(row.gpt.heads, 16);
  EXPECT_EQ(row.gpt.layers, 24);
  EXPECT_EQ(row.gpt.sequence, 512);
  EXPECT_EQ(row.layout.devices(), 8);
  EXPECT_EQ(row.layout.microbatches(), 4);
  EXPECT_DOUBLE_EQ(row.measured_s, 0.37225);
  EXPECT_EQ(row.name(), "line 3: h1024 l24 dp2 pp4 b16 mb2");
}

TEST(VtrainFile, ColumnsMayStandInAnyOrderBesideOthers) {
  const auto rows = parse_vtrain(
      "note,iteration time (ms),# layers,hidden size,attention heads,sequence length,micro batch,"
      "global batch,pipeline parallelism,data parallelism,tensor parallelism,# GPUs\n"
      "slow,10,24,1024,16,512,2,16,4,2,1,8\n",
      "x.csv");
  EXPECT_EQ(rows.at(0).name(), "line 2: h1024 l24 dp2 pp4 b16 mb2");
}

TEST(VtrainFile, ErrorsNameLineAndColumn) {
  EXPECT_EQ(error_with("1024", "1k"), "x.csv:2: hidden size: must be an integer, is \"1k\"");
  EXPECT_EQ(error_with("1024", "0"), "x.csv:2: hidden size: must be 1 to 1000000, is 0");
  EXPECT_EQ(error_with("372.25", "-1"),
            "x.csv:2: iteration time (ms): must be above 0 and up to 1e9, is -1");
  EXPECT_EQ(error_with("372.25", ""), "x.csv:2: iteration time (ms): must be a number, is \"\"");
  EXPECT_EQ(error(replaced(kHeader, "micro batch", "microbatch") + kRow),
            "x.csv: micro batch: no column has this name; did you mean \"microbatch\"?");
  EXPECT_EQ(error(kHeader), "x.csv: has no rows below its header");
}

TEST(VtrainFile, RefusesALayoutThatDoesNotDivide) {
  EXPECT_EQ(error_with("8,16", "4,16"),
            "x.csv:2: 4 GPUs, but tensor x data x pipeline parallelism is 1 x 2 x 4");
  EXPECT_EQ(error_with("8,16,2", "8,16,3"),
            "x.csv:2: a batch of 16 does not divide into 2 replicas' microbatches of 3");
  EXPECT_EQ(error_with(",24,", ",22,"), "x.csv:2: 22 layers do not divide into 4 stages");
  EXPECT_EQ(error_with("8,16,2", "8,80000,1"),
            "x.csv:2: 40000 microbatches per minibatch; at most 10000");
}

TEST(VtrainFile, AnyByteMayBeWrong) {
  expect_no_crash_when_flipped(kHeader + kRow,
                               [](const std::string& text) { parse_vtrain(text, "x.csv"); });
}

}  // namespace
}  // namespace shardlab
