#include "traces/curve_file.h"

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

Workload two_jobs() {
  Workload workload;
  workload.jobs.resize(2);
  workload.jobs[0].name = "gpt/batch=8,learning_rate=0.1";
  workload.jobs[1].name = "bert";
  return workload;
}

std::vector<LearningCurve> parse(const std::string& text) {
  return parse_curves(text, "curves.csv", two_jobs());
}

TEST(CurveFile, HasThePointsOfEveryJobInOrder) {
  const auto curves = parse(
      "# by hand\nminibatch,loss,job\n9,1.5,bert\n1, 4e0 "
      ",bert\n\n5,2,\"gpt/batch=8,learning_rate=0.1\"\n");
  ASSERT_EQ(curves.size(), 2u);
  ASSERT_EQ(curves[0].size(), 1u);
  ASSERT_EQ(curves[1].size(), 2u);
  EXPECT_EQ(curves[1][0].minibatch, 1);
  EXPECT_EQ(curves[1][0].loss, 4);
  EXPECT_EQ(curves[1][1].minibatch, 9);
}

TEST(CurveFile, SaysWhereItIsWrong) {
  const auto error = [](const std::string& rows) {
    return error_of([&] { parse("job,minibatch,loss\n" + rows); });
  };
  EXPECT_EQ(error("bert,1,2\nbret,1,2\n"),
            "curves.csv:3: job: the workload has no job \"bret\"; did you mean \"bert\"?");
  EXPECT_EQ(error("bert,0,2\n"), "curves.csv:2: minibatch: must be at least 1, is 0");
  EXPECT_EQ(error("bert,1.5,2\n"), "curves.csv:2: minibatch: must be an integer, is \"1.5\"");
  EXPECT_EQ(error("bert,1,2\nbert,2,2\nbert,1,3\n"),
            "curves.csv:4: minibatch: 1 comes twice for this job");
  EXPECT_EQ(error("bert,1,nan\n"), "curves.csv:2: loss: must be finite, is nan");
  EXPECT_EQ(error("bert,1,low\n"), "curves.csv:2: loss: must be a number, is \"low\"");
  EXPECT_EQ(error("bert,1,2\n"),
            "curves.csv: no loss of job \"gpt/batch=8,learning_rate=0.1\"; give every job at least "
            "one row");
  EXPECT_EQ(error_of([] { parse("job,minibatch\n"); }),
            "curves.csv: loss: no column has this name");
  EXPECT_EQ(error_of([] { parse("job,minibatch,lost\n"); }),
            "curves.csv:1: lost: unknown column; did you mean \"loss\"?");
}

}  // namespace
}  // namespace shardlab
