#include "profiler/samples.h"

#include <sstream>

#include <gtest/gtest.h>

#include "core/error.h"
#include "profiler/copy_bench.h"
#include "profiler/hand_over.h"
#include "profiler/provenance.h"

namespace shardlab {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

Samples range(int first, int last) {
  Samples samples;
  for (int i = last; i >= first; --i) samples.emplace_back(i);
  return samples;
}

TEST(Samples, MedianAndQuartilesInAnyOrder) {
  const Measured measured = summarize(range(0, 100));
  EXPECT_EQ(measured.median, nanoseconds(50));
  EXPECT_EQ(measured.spread, nanoseconds(50));
  EXPECT_EQ(measured.samples, 101);
}

TEST(Samples, OneIsItsOwnMedianAndNoneIsZero) {
  EXPECT_EQ(summarize(range(7, 7)).median, nanoseconds(7));
  EXPECT_EQ(summarize(range(7, 7)).spread, nanoseconds(0));
  EXPECT_EQ(summarize(Samples{}).samples, 0);
}

TEST(CopyCost, FindsLatencyAndRateDespiteAnOutlier) {
  std::vector<CopySample> samples;
  for (const Bytes bytes : {1000, 10'000, 100'000}) {
    for (int i = 0; i < 3; ++i)
      samples.push_back({bytes, microseconds(5) + nanoseconds(bytes / 4)});
  }
  samples[4].time *= 100;
  const CopyCost cost = fit_copy_cost(samples);
  EXPECT_NEAR(static_cast<double>(cost.latency.count()), 5000, 1);
  EXPECT_NEAR(cost.bytes_per_second, 4e9, 1e6);
}

TEST(CopyCost, LatencyIsNeverNegative) {
  const std::vector<CopySample> samples = {{1000, nanoseconds(10)}, {10'000, nanoseconds(1000)}};
  const CopyCost cost = fit_copy_cost(samples);
  EXPECT_EQ(cost.latency, nanoseconds(0));
  EXPECT_GT(cost.bytes_per_second, 0);
}

TEST(CopyCost, NeedsTwoSizes) {
  const std::vector<CopySample> samples = {{1000, nanoseconds(10)}, {1000, nanoseconds(11)}};
  EXPECT_THROW(fit_copy_cost(samples), Error);
}

TEST(CopyBench, GivesOneSampleOfEachSize) {
  CopyBench bench;
  std::vector<CopySample> samples;
  for (int i = 0; i < 4; ++i) bench.run(samples);  // Goes round its arenas.
  ASSERT_EQ(samples.size(), 20U);
  EXPECT_EQ(samples.front().bytes, 64 << 10);
  EXPECT_EQ(samples.back().bytes, 16 << 20);
}

TEST(HandOver, GivesTheSamplesAskedFor) {
  Samples samples;
  time_hand_over(5, samples);
  ASSERT_EQ(samples.size(), 5U);
  for (const Duration sample : samples) EXPECT_GT(sample.count(), 0);
}

TEST(Provenance, ProcessorIsTheFirstModelName) {
  std::istringstream cpuinfo("processor\t: 0\nmodel name\t: Fast CPU\nmodel name\t: Other\n");
  EXPECT_EQ(processor_name(cpuinfo), "Fast CPU");
  std::istringstream nothing("");
  EXPECT_EQ(processor_name(nothing), "unknown processor");
  EXPECT_EQ(utc_now().size(), 20U);
}

}  // namespace
}  // namespace shardlab
