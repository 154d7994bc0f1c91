#include "fit/device_ratio.h"

#include <cmath>

#include <gtest/gtest.h>

namespace shardlab {
namespace {

DataSheet sheet(double tflops, double gigabytes) {
  DataSheet made;
  made.half = tflops * 1e12;
  made.bytes_per_second = gigabytes * 1e9;
  return made;
}

TEST(DeviceRatio, LiesBetweenTheEndsOfTheRoofline) {
  const auto ends = roofline_ratio(sheet(300, 2000), sheet(150, 500), MatrixRate::kHalf);
  EXPECT_EQ(ends.flop, 2);
  EXPECT_EQ(ends.byte, 4);
  const DeviceRatio ratio = device_ratio(ends);
  EXPECT_DOUBLE_EQ(ratio.middle, std::sqrt(8));
  EXPECT_DOUBLE_EQ(ratio.low, 2.1 / 1.118);
  EXPECT_DOUBLE_EQ(ratio.high, 3.9 * 1.118);
}

TEST(DeviceRatio, ThereAndBackIsOne) {
  const DataSheet a = sheet(312, 1935), b = sheet(150, 696);
  const DeviceRatio there = device_ratio(roofline_ratio(a, b, MatrixRate::kHalf));
  const DeviceRatio back = device_ratio(roofline_ratio(b, a, MatrixRate::kHalf));
  EXPECT_NEAR(there.middle * back.middle, 1, 1e-12);
  EXPECT_GT(there.low, 1);
  EXPECT_LT(back.high, 1);
}

TEST(DeviceRatio, OneDeviceStillHasAnInterval) {
  const DataSheet a = sheet(312, 1935);
  const DeviceRatio same = device_ratio(roofline_ratio(a, a, MatrixRate::kHalf));
  EXPECT_DOUBLE_EQ(same.middle, 1);
  EXPECT_NEAR(same.interval(), kReachedSpread, 1e-12);
}

}  // namespace
}  // namespace shardlab
