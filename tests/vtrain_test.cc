#include "validate/vtrain.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/error_of.h"
#include "tests/measured_data.h"
#include "validate/gpt_simulation.h"

namespace shardlab {
namespace {

constexpr GptCost kTrue{3.5, 34, 1.1, 3.1, 16, 26};

/// Layouts on up to eight GPUs, measured on a machine that is exactly as the simulator thinks.
std::vector<VtrainRow> ideal_rows() {
  std::vector<VtrainRow> rows;
  for (const std::int64_t hidden : {1024, 2048}) {
    for (const std::int64_t layers : {8, 12, 16, 20, 24}) {
      for (const std::int64_t micro : {1, 2, 4, 8}) {
        for (const std::int64_t data : {1, 2, 4}) {
          for (const std::int64_t pipeline : {1, 2, 4}) {
            const std::int64_t line = static_cast<std::int64_t>(rows.size()) + 2;
            VtrainRow row{
                line, {hidden, 16, layers, 1024}, {data * 16, micro, 1, data, pipeline}, 0};
            if (row.layout.devices() > kMachineDevices) continue;
            row.measured_s = simulated_minibatch_s(row, kTrue);
            rows.push_back(row);
          }
        }
      }
    }
  }
  return rows;
}

std::set<std::string> held_out_names(const VtrainValidation& validation) {
  std::set<std::string> names;
  for (const auto& run : validation.runs) {
    if (run.held_out) names.insert(run.row.name());
  }
  return names;
}

TEST(Vtrain, FindsAMachineThatIsAsTheSimulatorThinks) {
  const VtrainValidation validation = validate_vtrain(ideal_rows(), 1);
  EXPECT_LT(validation.held_out().worst, 1e-3);
  EXPECT_LT(validation.fitted().worst, 1e-3);
  EXPECT_NEAR(validation.cost.layer_launch_ms, kTrue.layer_launch_ms, 0.01);
}

TEST(Vtrain, FitsOnATenthThatTheSeedDraws) {
  const auto rows = ideal_rows();
  const VtrainValidation first = validate_vtrain(rows, 1);
  EXPECT_EQ(first.fitted().runs, rows.size() / 10);
  EXPECT_EQ(first.held_out().runs, rows.size() - rows.size() / 10);
  EXPECT_EQ(held_out_names(first), held_out_names(validate_vtrain(rows, 1)));
  EXPECT_NE(held_out_names(first), held_out_names(validate_vtrain(rows, 2)));
}

TEST(Vtrain, HeldOutRowsDoNotTouchTheFit) {
  auto rows = ideal_rows();
  const VtrainValidation before = validate_vtrain(rows, 1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (before.runs[i].held_out) rows[i].measured_s *= 3;
  }
  const VtrainValidation after = validate_vtrain(rows, 1);
  EXPECT_EQ(after.cost.score_ps, before.cost.score_ps);
  EXPECT_GT(after.held_out().median, 0.5);
}

TEST(Vtrain, PassesOverTensorParallelismAndSeveralMachines) {
  auto rows = ideal_rows();
  const std::size_t used = rows.size();
  rows.push_back(rows.front());
  rows.back().layout.tensor = 2;
  rows.push_back(rows.front());
  rows.back().layout = {64, 1, 1, 16, 1};
  const VtrainValidation validation = validate_vtrain(rows, 1);
  EXPECT_EQ(validation.runs.size(), used);
  EXPECT_EQ(validation.passed_over, 2u);
}

TEST(Vtrain, RefusesTooFewRows) {
  auto rows = ideal_rows();
  rows.resize(59);
  EXPECT_EQ(error_of([&] { validate_vtrain(rows, 1); }),
            "59 rows with tensor parallelism 1 and up to 8 GPUs; 60 are needed, as 6 costs are "
            "fitted on one in 10");
}

TEST(Vtrain, JsonHasEveryRunAndTheErrorsOfThoseHeldOut) {
  auto rows = ideal_rows();
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].measured_s *= i % 3 == 0 ? 1.2 : 1;
  const VtrainValidation validation = validate_vtrain(rows, 7);
  const nlohmann::ordered_json json = vtrain_json(validation);
  EXPECT_EQ(json.at("seed"), 7);
  EXPECT_EQ(json.at("runs").size(), rows.size());
  EXPECT_EQ(json.at("parameters").size(), kGptCostParameters.size());
  std::vector<double> errors;
  for (const auto& run : json.at("runs")) {
    if (run.at("held_out")) errors.push_back(run.at("error"));
  }
  EXPECT_EQ(json.at("median"), interpolated_median(errors));
  EXPECT_EQ(json.at("p95"), interpolated_quantile(errors, 0.95));
  EXPECT_EQ(json.at("worst"), *std::max_element(errors.begin(), errors.end()));
}

TEST(Vtrain, TheTextNamesTheTenWorstOfThoseHeldOut) {
  auto rows = ideal_rows();
  const VtrainValidation ideal = validate_vtrain(rows, 1);
  std::size_t spoilt = 0;
  while (!ideal.runs[spoilt].held_out) ++spoilt;
  rows[spoilt].measured_s /= 2;
  const std::string text = vtrain_text(validate_vtrain(rows, 1));
  const std::size_t table = text.find("worst of the rows held out");
  EXPECT_EQ(text.find(rows[spoilt].name()), text.find("line ", table)) << text;
  EXPECT_EQ(std::count(text.begin() + static_cast<std::ptrdiff_t>(table), text.end(), '\n'), 11);
}

TEST(Vtrain, HoldsItsBarsOnThePublishedRowsForSeveralSeeds) {
  const std::string file = measured_data("vtrain/ground_truth_single.csv");
  if (file.empty()) GTEST_SKIP() << "no measured data here; SHARDLAB_DATA names the folder";
  const auto rows = read_vtrain(file);
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const VtrainValidation validation = validate_vtrain(rows, seed);
    EXPECT_EQ(validation.runs.size(), 640u);
    EXPECT_LE(validation.held_out().median, 0.06) << "seed " << seed;
    EXPECT_LE(validation.held_out().p95, 0.18) << "seed " << seed;
  }
}

}  // namespace
}  // namespace shardlab
