#include "profiler/samples.h"

#include <sstream>

#include <gtest/gtest.h>

#include "core/error.h"
#include "profiler/copy_cost.h"
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

TEST(Samples, OutliersAreMarkedAndKept) {
  Samples samples = range(0, 100);  // Quartiles 25 and 75: fences at -125 and 225.
  EXPECT_EQ(summarize(samples).outliers, 0);
  samples.emplace_back(225);
  EXPECT_EQ(summarize(samples).outliers, 0) << "on the fence";
  samples.emplace_back(5000);
  samples.emplace_back(-5000);
  EXPECT_EQ(summarize(samples).outliers, 2);
  EXPECT_EQ(summarize(samples).samples, 104);
}

// Two layers that are slow in turn: their medians are of the fast ones.
TEST(Samples, MediansOfLayersAddUpToTheMedianMinibatch) {
  LayerSamples one, other;
  Samples minibatches;
  for (int i = 0; i < 15; ++i) {
    one.forward.emplace_back(i % 3 == 0 ? 500 : 100);
    other.backward.emplace_back(i % 3 == 1 ? 900 : 300);
    minibatches.push_back(one.forward.back() + other.backward.back());
  }
  const auto layers = summarize({one, other}, minibatches);
  EXPECT_EQ(layers[0].forward.median, nanoseconds(200)) << "of 100, 400 and 800 to 1000 in all";
  EXPECT_EQ(layers[1].backward.median, nanoseconds(600));
  EXPECT_EQ(layers[0].forward.spread, nanoseconds(400));
  EXPECT_EQ(summarize({LayerSamples{}}, Samples{})[0].forward.samples, 0);
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

TEST(CopyCost, MediansAreOnePerSizeInOrderOfSize) {
  const std::vector<CopySample> samples = {{10, nanoseconds(7)},   {1000, nanoseconds(30)},
                                           {10, nanoseconds(5)},   {1000, nanoseconds(20)},
                                           {10, nanoseconds(900)}, {1000, nanoseconds(25)}};
  const std::vector<CopySample> found = medians(samples);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].bytes, 10);
  EXPECT_EQ(found[0].time, nanoseconds(7));
  EXPECT_EQ(found[1].bytes, 1000);
  EXPECT_EQ(found[1].time, nanoseconds(25));
  EXPECT_TRUE(medians({}).empty());
}

TEST(CopyCost, TheWorstResidualIsRelativeToTheMedianWhicheverWayItErrs) {
  const CopyCost cost{nanoseconds(100), 1e9};  // 100 ns + a byte per nanosecond.
  const std::vector<CopySample> fits = {{100, nanoseconds(200)}, {900, nanoseconds(1000)}};
  EXPECT_NEAR(worst_residual(fits, cost), 0, 1e-12);
  const std::vector<CopySample> faster = {{100, nanoseconds(160)}, {900, nanoseconds(800)}};
  EXPECT_NEAR(worst_residual(faster, cost), 0.25, 1e-12);
  const std::vector<CopySample> slower = {{100, nanoseconds(400)}, {900, nanoseconds(1250)}};
  EXPECT_NEAR(worst_residual(slower, cost), 0.5, 1e-12);
  const std::vector<CopySample> outlier = {
      {100, nanoseconds(200)}, {100, nanoseconds(200)}, {100, nanoseconds(90'000)}};
  EXPECT_NEAR(worst_residual(outlier, cost), 0, 1e-12) << "of the median";
  EXPECT_EQ(worst_residual({}, cost), 0);
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
