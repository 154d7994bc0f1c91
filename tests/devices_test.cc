#include "validate/devices.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "tests/measured_data.h"
#include "tests/sample_data.h"

namespace shardlab {
namespace {

std::vector<DataSheet> shipped() { return read_data_sheets(source_file("profiles/devices.toml")); }

TEST(Devices, ShippedDataSheetsCanBeRead) {
  const auto sheets = shipped();
  for (const char* name : {"A100", "a40", "NVIDIA H100 80GB HBM3", "rtx 2080 ti"}) {
    EXPECT_GT(find_sheet(sheets, name).fp32, 1e12) << name;
  }
}

TEST(Devices, RelativesOfOneFamilyAreComparedByOperations) {
  EXPECT_EQ(relative_work("t5-3b", "t5-3b"), 1);
  EXPECT_EQ(relative_work("t5-3b", "gpt3-xl"), 0);
  EXPECT_NEAR(relative_work("gpt3-2.7b", "gpt3-xl"), 2, 0.1);
  EXPECT_NEAR(relative_work("gpt3-2.7b", "gpt3-xl") * relative_work("gpt3-xl", "gpt3-2.7b"), 1,
              1e-12);
}

/// Two stages, two microbatches, one iteration after warm-up.
void write_run(const std::filesystem::path& path, double forward_s) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path);
  file << "[";
  for (int rank = 0; rank < 2; ++rank) {
    const auto list = [&](double s) {
      return "[[1,1],[" + std::to_string(s) + "," + std::to_string(s) + "]]";
    };
    file << (rank > 0 ? "," : "") << "{\"rank\":" << rank
         << ",\"iter_time\":[9,1],\"time_breakdown\":{\"load\":" << list(0)
         << ",\"forward\":" << list(forward_s) << ",\"backward\":" << list(2 * forward_s) << "}}";
  }
  file << "]";
}

class DevicesFolder : public testing::Test {
 protected:
  DevicesFolder() { std::filesystem::remove_all(folder_); }
  ~DevicesFolder() override { std::filesystem::remove_all(folder_); }
  void add(const std::string& name, double forward_s) { write_run(folder_ / name, forward_s); }
  [[nodiscard]] DeviceValidation validated() const {
    return validate_devices(folder_.string(), shipped(), MatrixRate::kHalf, 1);
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / "shardlab-devices-test";
};

TEST_F(DevicesFolder, FastestRunOfAModelCountsPerSample) {
  add("a100/m.x_dp1_pp2_tp1_mbs8_nmb2.0.prof.json", 0.008);
  add("a100/m.x_dp1_pp2_tp1_mbs8_nmb2.7.prof.json", 0.080);  // At lower clocks.
  add("a40/m.x_dp1_pp2_tp1_mbs4_nmb2.0.prof.json", 0.010);
  const DeviceValidation found = validated();
  ASSERT_EQ(found.predictions.size(), 4U);
  const DevicePrediction& back = found.predictions[0];
  EXPECT_EQ(back.run.name, "m backward, a100 to a40");
  EXPECT_DOUBLE_EQ(back.run.measured_s, 0.010);
  EXPECT_NEAR(back.run.predicted_s, 0.004 * 2.407, 1e-5);
  EXPECT_TRUE(back.covered());
  EXPECT_EQ(found.coverage(), 1);
  EXPECT_TRUE(found.warnings.empty());
}

TEST_F(DevicesFolder, SaysWhatHasNoCounterpartAndWhatHasNoSheet) {
  add("a100/m.x_dp1_pp2_tp1_mbs8_nmb2.0.prof.json", 0.008);
  EXPECT_NE(error_of([&] { (void)validated(); }).find("no model that two devices ran"),
            std::string::npos);
  add("toaster/m.x_dp1_pp2_tp1_mbs8_nmb2.0.prof.json", 0.008);
  EXPECT_NE(error_of([&] { (void)validated(); }).find("no data sheet of \"toaster\""),
            std::string::npos);
  std::filesystem::remove_all(folder_ / "toaster");
  add("a40/m.x_dp1_pp2_tp1_mbs8_nmb2.0.prof.json", 0.008);
  add("a40/other.x_dp1_pp2_tp1_mbs8_nmb2.0.prof.json", 0.008);
  ASSERT_EQ(validated().warnings.size(), 1U);
  EXPECT_EQ(validated().warnings[0], "other on a40: no other device ran it or a relative");
}

TEST(Devices, FromA100ToA40AndBackByDataSheetsAlone) {
  const std::string folder = measured_data("perseus");
  if (folder.empty())
    GTEST_SKIP() << "no measured data; set SHARDLAB_DATA to the folder that has it";
  const DeviceValidation found = validate_devices(folder, shipped(), MatrixRate::kHalf, 2);
  std::vector<ValidatedRun> runs;
  for (const DevicePrediction& each : found.predictions) runs.push_back(each.run);
  EXPECT_GE(runs.size(), 12U);
  EXPECT_LE(summarize(runs).median, 0.20);
  EXPECT_GE(found.coverage(), 0.80);
}

}  // namespace
}  // namespace shardlab
