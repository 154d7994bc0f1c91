#include "traces/data_sheet_file.h"

#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "tests/sample_data.h"

namespace shardlab {
namespace {

constexpr const char* kSheet = R"([[device]]
name = "GPU"
aliases = ["G"]
fp32_tflops = 2
memory_gb_per_s = 300
host_gb_per_s = 16
source = "its data sheet"
)";

TEST(DataSheetFile, ReadsRatesInTheirUnits) {
  const auto sheets = parse_data_sheets(kSheet, "d.toml");
  ASSERT_EQ(sheets.size(), 1U);
  EXPECT_EQ(sheets[0].flops(MatrixRate::kFp32), 2e12);
  EXPECT_EQ(sheets[0].bytes_per_second, 300e9);
  EXPECT_EQ(&find_sheet(sheets, "gpu"), sheets.data());
  EXPECT_EQ(&find_sheet(sheets, "g"), sheets.data());
}

TEST(DataSheetFile, NamesWhatIsMissing) {
  const auto sheets = parse_data_sheets(kSheet, "d.toml");
  EXPECT_EQ(error_of([&] { (void)sheets[0].flops(MatrixRate::kHalf); }),
            "the data sheet of GPU has no rate for half");
  EXPECT_EQ(error_of([&] { (void)find_sheet(sheets, "GPV"); }),
            "no data sheet of \"GPV\"; did you mean \"GPU\"?; add one to the file of data sheets");
  EXPECT_EQ(error_of([] { parse_data_sheets("[[device]]\nname = \"x\"\n", "d.toml"); }),
            "d.toml:1: source: missing in this device");
  EXPECT_EQ(
      error_of([] { parse_data_sheets(std::string(kSheet) + "half_tflops = 0\n", "d.toml"); }),
      "d.toml:8: half_tflops: must be above 0");
  EXPECT_EQ(
      error_of([] { parse_data_sheets(std::string(kSheet) + std::string(kSheet), "d.toml"); }),
      "d.toml:8: \"G\" is also a name of GPU");
}

}  // namespace
}  // namespace shardlab
