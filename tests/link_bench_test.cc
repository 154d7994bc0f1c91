// Links of the CPU, and of the fake accelerator's four devices.
#include "profiler/link_bench.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "profiler/copy_slow_down.h"
#include "profiler/copy_way.h"
#include "profiler/link_text.h"
#include "sched/link.h"
#include "tests/error_of.h"
#include "tests/fake_accelerator.h"

namespace shardlab {
namespace {

constexpr Bytes kMiB = Bytes{1} << 20;
constexpr LinkOptions kShort{.rounds = 2, .largest = kMiB, .beside_computing = false};

/// Before any test: autograd knows only devices that are there when it first runs.
class Installed : public testing::Environment {
  void SetUp() override {
    at::set_num_threads(1);
    if (fake::possible()) fake::install();
  }
};
[[maybe_unused]] const auto* const kInstalled = testing::AddGlobalTestEnvironment(new Installed);

Cluster cluster_of(const std::string& kind, int devices) {
  Cluster cluster;
  for (int d = 0; d < devices; ++d) {
    DeviceSpec device;
    device.name = "d" + std::to_string(d);
    device.kind = kind;
    device.ordinal = kind == "cpu" ? 0 : d;
    cluster.devices.push_back(device);
  }
  return cluster;
}

std::vector<std::string> shares(const LinkReport& report, bool pinned) {
  std::vector<std::string> found;
  for (const SharedCopies& each : report.shared) {
    EXPECT_GT(each.alone, 0);
    EXPECT_GT(each.together, 0);
    if (each.pinned != pinned) continue;
    found.push_back(each.through + ", " + each.ways + ", " + std::to_string(each.copying));
  }
  return found;
}

void expect_measured(const LinkCost& link, std::vector<Bytes> sizes) {
  std::vector<Bytes> found;
  for (const CopySample& each : link.sizes) {
    found.push_back(each.bytes);
    EXPECT_GT(each.time.count(), 0);
  }
  EXPECT_EQ(found, sizes) << link.device;
  EXPECT_GT(link.cost.bytes_per_second, 0);
  EXPECT_GE(link.cost.latency.count(), 0);
  EXPECT_GE(link.residual, 0);
}

TEST(LinkBench, OfTheCpuCopiesWithOneToAllThreads) {
  const LinkReport report = measure_links(cluster_of("cpu", 3), kShort);
  ASSERT_EQ(report.links.size(), 6U);
  for (const LinkCost& link : report.links) {
    EXPECT_FALSE(link.pinned);
    EXPECT_EQ(link.copying, 6);
    expect_measured(link, {kMiB / 16, kMiB / 4, kMiB});
  }
  EXPECT_EQ(shares(report, false),
            (std::vector<std::string>{"host memory, to device, 2", "host memory, to device, 3",
                                      "host memory, to host, 2", "host memory, to host, 3",
                                      "host memory, both, 6"}));
  EXPECT_TRUE(shares(report, true).empty());
  EXPECT_TRUE(report.slow_downs.empty());  // Not asked for.
}

TEST(LinkBench, SaysHowMuchLongerComputingTakesBesideCopies) {
  LinkOptions with = kShort;
  with.rounds = 1;
  with.beside_computing = true;
  const LinkReport report = measure_links(cluster_of("cpu", 1), with);
  ASSERT_EQ(report.slow_downs.size(), 1U);
  EXPECT_EQ(report.slow_downs[0].device, "d0");
}

TEST(CopySlowDown, IsTheMedianBesideCopiesOverThatAloneAndNeverLessThanNone) {
  const auto ms = [](std::int64_t count) { return Duration{count * 1'000'000}; };
  EXPECT_DOUBLE_EQ(slow_down({ms(30), ms(90), ms(20)}, {ms(20), ms(5), ms(50)}), 1.5);
  EXPECT_EQ(slow_down({ms(10)}, {ms(20)}), 1);
}

TEST(LinkBench, WhatSharesASwitchCopiesTogetherAlsoBelowSwitchesWithinIt) {
  Cluster cluster = cluster_of("cpu", 3);
  cluster.switches = {{"root"}, {"left", 0, 0, 0, 0}, {"nobody's"}};
  cluster.devices[0].parent = 1;
  cluster.devices[1].parent = 1;
  cluster.devices[2].parent = 0;
  const std::vector<std::string> found = shares(measure_links(cluster, kShort), false);
  EXPECT_EQ((std::vector<std::string>(found.end() - 2, found.end())),
            (std::vector<std::string>{"root, both, 6", "left, both, 4"}));
}

TEST(SharedCopies, ContentionIsWhatEachPassesAloneOverWhatAllPassTogether) {
  EXPECT_DOUBLE_EQ((SharedCopies{"pcie", "both", true, 4, 100e9, 40e9}).contention(), 2.5);
  EXPECT_EQ(SharedCopies{}.contention(), 1);
}

TEST(LinkCost, WarnsWhereALineIsFarFromASize) {
  LinkCost link;
  link.device = "gpu";
  link.way = LinkWay::kToHost;
  link.pinned = false;
  link.sizes = {{1, {}}, {8 * kMiB, std::chrono::milliseconds(4)}};
  link.residual = 0.2;
  EXPECT_EQ(caution(link), "");
  link.residual = 0.21;
  EXPECT_EQ(caution(link),
            "gpu to host, pageable: latency and GB/s are up to 21 % off a size that was measured; "
            "copies of 8 MiB pass 2.10 GB/s");
  link.way = LinkWay::kToPeer;
  link.peer = "other";
  EXPECT_TRUE(caution(link).starts_with("gpu to other: latency"));
}

class FakeLinks : public testing::Test {
 protected:
  void SetUp() override {
    if (!fake::possible()) GTEST_SKIP() << "there is a GPU";
  }
  void TearDown() override {
    if (fake::possible()) fake::reset();
  }
};

TEST_F(FakeLinks, PinnedPageableAndFromEveryDeviceToEveryOther) {
  const LinkReport report = measure_links(cluster_of("privateuseone", fake::kDevices), kShort);
  std::set<std::string> host, peers;
  for (const LinkCost& link : report.links) {
    expect_measured(link, {kMiB / 16, kMiB / 4, kMiB});
    if (link.way == LinkWay::kToPeer) {
      peers.insert(link.device + link.peer);
      continue;
    }
    EXPECT_EQ(link.copying, 8);
    host.insert(link.device + (link.pinned ? " pinned" : " pageable") +
                (link.way == LinkWay::kToDevice ? " in" : " out"));
  }
  EXPECT_EQ(host.size(), 16U);
  EXPECT_EQ(peers.size(), 12U);
  EXPECT_EQ(report.links.size(), 28U);
  EXPECT_FALSE(peers.contains("d0d0"));
  EXPECT_EQ(shares(report, true).back(), "device to device, a ring, 4");
  EXPECT_EQ(shares(report, false).back(), "host memory, both, 8");
}

TEST_F(FakeLinks, ComputingIsTimedBesideCopiesOfPageLockedMemoryOnce) {
  LinkOptions with = kShort;
  with.rounds = 1;
  with.beside_computing = true;
  const LinkReport report = measure_links(cluster_of("privateuseone", 1), with);
  ASSERT_EQ(report.slow_downs.size(), 1U);
}

TEST_F(FakeLinks, ComputingIsTimedBesideCopiesInEachDirection) {
  const Cluster cluster = cluster_of("privateuseone", 3);  // So that each way's copies are counted.
  const TorchDevice above(cluster.devices[1]), below(cluster.devices[2]);
  LinkCost back;
  back.way = LinkWay::kToHost;
  CopyWay in(above, nullptr, {}, kMiB), out(below, nullptr, back, kMiB);
  const std::int64_t in_before = fake::copies(1), out_before = fake::copies(2);
  copy_slow_down(cluster.devices[0], in, out, 2);
  EXPECT_GE(fake::copies(1) - in_before, 2);  // One of each round at least.
  EXPECT_GE(fake::copies(2) - out_before, 2);
}

TEST_F(FakeLinks, ACopyToAPeerRunsAtItsSource) {
  fake::reset();
  const Cluster cluster = cluster_of("privateuseone", 2);
  const TorchDevice from(cluster.devices[0]), to(cluster.devices[1]);
  LinkCost link;
  link.way = LinkWay::kToPeer;
  CopyWay way(from, &to, link, kMiB);
  const std::int64_t source = fake::copies(0), target = fake::copies(1);
  way.measure(3);
  EXPECT_GE(fake::copies(0) - source, 9);
  EXPECT_EQ(fake::copies(1), target);
}

// However busy the machine: the fit passes through the mean of times, or the origin, and rises.
TEST_F(FakeLinks, NoCopyIsFasterThanTheDevice) {
  fake::set_delays({std::chrono::milliseconds(20), {}});
  const LinkReport report = measure_links(cluster_of("privateuseone", 1), kShort);
  ASSERT_EQ(report.links.size(), 4U);
  for (const LinkCost& link : report.links) {
    EXPECT_GE(transfer_time(link.sizes.back().bytes, link.cost), std::chrono::milliseconds(20));
  }
}

TEST_F(FakeLinks, ACopyThatFailsEndsTheMeasurementWithItsReason) {
  const Cluster cluster = cluster_of("privateuseone", 2);
  const TorchDevice first(cluster.devices[0]), second(cluster.devices[1]);
  CopyWay good(first, nullptr, {}, kMiB), bad(second, nullptr, {}, kMiB);
  fake::fail_work(1, 3);
  CopyWay* const both[] = {&good, &bad};
  EXPECT_NE(error_of([&] { (void)rates_together(both, 5); }).find("the accelerator failed"),
            std::string::npos);
}

TEST_F(FakeLinks, CopiesGoOnWhileTheBodyRunsAndEndWithIt) {
  const Cluster cluster = cluster_of("privateuseone", 1);
  const TorchDevice device(cluster.devices[0]);
  CopyWay way(device, nullptr, {}, kMiB);
  const std::int64_t before = fake::copies(0);
  std::int64_t within = 0;
  while_copying(way, [&] {
    while (fake::copies(0) < before + 5) std::this_thread::yield();
    within = fake::copies(0);
  });
  EXPECT_GE(within, before + 5);
  const std::int64_t after = fake::copies(0);
  std::this_thread::yield();
  EXPECT_EQ(fake::copies(0), after);
  EXPECT_EQ(error_of([&] { while_copying(way, [] { throw Error("the body's"); }); }), "the body's");
}

}  // namespace
}  // namespace shardlab
