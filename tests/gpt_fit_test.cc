#include "validate/gpt_fit.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace shardlab {
namespace {

constexpr GptCost kTrue{3.5, 34, 1.1, 3.1, 16, 26};

/// One device, so that the makespan is a plain sum.
double one_device_s(const VtrainRow& row, const GptCost& cost) {
  const GptStageCost stage = gpt_stage_costs(row.gpt, row.layout, cost).front();
  return seconds(row.layout.microbatches() * (stage.forward + stage.backward) + stage.step);
}

/// Some bound by launches, most not, measured to the bit.
std::vector<VtrainRow> measured_rows() {
  std::vector<VtrainRow> rows;
  for (const std::int64_t hidden : {1024, 2048}) {
    for (const std::int64_t layers : {12, 24}) {
      for (const std::int64_t micro : {1, 2, 4, 8}) {
        for (const std::int64_t batch : {8, 16}) {
          VtrainRow row{0, {hidden, 16, layers, 1024}, {batch, micro, 1, 1, 1}, 0};
          row.measured_s = one_device_s(row, kTrue);
          rows.push_back(row);
        }
      }
    }
  }
  return rows;
}

TEST(GptFit, FindsTheCostsThatMadeTheTimes) {
  const GptCost found = fit_gpt_cost(measured_rows(), one_device_s);
  for (const GptCostParameter& each : kGptCostParameters) {
    EXPECT_NEAR(found.*each.value, kTrue.*each.value, 2e-4 * (kTrue.*each.value)) << each.name;
  }
}

TEST(GptFit, ErrorsAreRelativeSoThatLongRowsDoNotOutweighShortOnes) {
  auto rows = measured_rows();
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].measured_s *= i % 2 == 0 ? 1.1 : 0.9;
  const GptCost found = fit_gpt_cost(rows, one_device_s);
  double sum = 0;
  for (const VtrainRow& row : rows) sum += one_device_s(row, found) / row.measured_s - 1;
  EXPECT_NEAR(sum / static_cast<double>(rows.size()), 0, 0.02);
}

TEST(GptFit, NoCostIsNegative) {
  auto rows = measured_rows();
  // Times that fall with the size of the model.
  for (VtrainRow& row : rows) row.measured_s = 1 / row.measured_s;
  const GptCost found = fit_gpt_cost(rows, one_device_s);
  for (const GptCostParameter& each : kGptCostParameters) EXPECT_GE(found.*each.value, 0);
}

}  // namespace
}  // namespace shardlab
