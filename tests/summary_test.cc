#include "report/summary.h"

#include <map>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/sample_data.h"

namespace shardlab {
namespace {

/// A run of the sample plan that took `ns` where 10 000 were predicted.
Comparison run_of(std::int64_t ns) {
  Comparison run;
  run.predicted = run.measured = sample_timeline();
  run.predicted.makespan = at(10'000);
  run.measured.makespan = at(ns);
  run.naive = Duration{8'000};
  return run;
}

MeasuredPlan measured(const std::vector<std::int64_t>& makespans) {
  MeasuredPlan plan;
  plan.plan = sample_plan();
  for (const std::int64_t ns : makespans) plan.runs.push_back(run_of(ns));
  plan.drift.assign(makespans.size(), 0.01);
  plan.drift.front() = -0.03;
  return plan;
}

TEST(MeasuredPlan, MedianIsTheMiddleRunAndTheFasterOfTwo) {
  EXPECT_EQ(measured({30'000, 10'000, 20'000}).median(), 2u);
  EXPECT_EQ(measured({30'000, 20'000}).median(), 1u);
  EXPECT_EQ(measured({30'000}).median(), 0u);
}

TEST(Summary, HoldsEveryRunAndTheLargestDrift) {
  const auto json = measured_plan_json(measured({12'000, 11'000, 14'000}));
  EXPECT_EQ(json["strategy"], "mixed");
  EXPECT_EQ(json["shards_per_job"], (std::vector<int>{3, 2}));
  EXPECT_EQ(json["recompute"], false);
  EXPECT_DOUBLE_EQ(json["measured_s"], 12e-6);
  EXPECT_EQ(json["measured_all_s"].size(), 3u);
  EXPECT_DOUBLE_EQ(json["error"], 12.0 / 10.0 - 1);
  EXPECT_EQ(json["drift"], -0.03);
  EXPECT_EQ(json["bytes_moved"], 400'000 + 400'000 + 800'000);
}

TEST(Summary, ComparesLaterPlansWithTheFirst) {
  const auto json = summary_json({measured({11'000, 11'000}), measured({22'000})});
  EXPECT_EQ(json["jobs"], (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(json["budget_bytes"].dump(), "[1000000,null]");
  EXPECT_EQ(json["peak_bytes"], (std::vector<Bytes>{900'000, 1'300'000}));
  EXPECT_DOUBLE_EQ(json["speedup"]["mixed/lrtf"], 2.0);
  EXPECT_EQ(json["runs"].size(), 2u);
}

TEST(Summary, DevicesSayWhatTheirTimeWas) {
  const auto devices = devices_json(sample_timeline());
  ASSERT_EQ(devices.size(), 2u);
  // Of 11 401 ns; see sample_timeline().
  const std::map<std::string, int> parts{
      {"job_wait", 4'000}, {"memory_wait", 100}, {"copy_wait", 1'000}, {"lane_copies", 600},
      {"dispatch", 5},     {"busy", 3'696},      {"tail", 2'000},
  };
  for (const auto& [part, ns] : parts) {
    EXPECT_NEAR(devices[1][part].get<double>(), ns / 11'401., 1e-12) << part;
  }
  EXPECT_TRUE(devices[1]["budget_bytes"].is_null());
}

}  // namespace
}  // namespace shardlab
