#include "report/bill.h"

#include <vector>

#include <gtest/gtest.h>

namespace shardlab {
namespace {

using std::chrono::seconds;

Cluster two_devices(const Upkeep& first, const Upkeep& second, double host_watts) {
  Cluster cluster;
  cluster.host_watts = host_watts;
  cluster.devices.resize(2);
  cluster.devices[0].upkeep = first;
  cluster.devices[1].upkeep = second;
  return cluster;
}

const std::vector<LaneTime> kBusy{{.busy = seconds(60)}, {.busy = seconds(30)}};

TEST(Bill, ADeviceDrawsByWhatItDoesAndTheHostAllTheTime) {
  const Cluster cluster = two_devices({300, 50, 0}, {100, 0, 0}, 200);
  const Bill made = bill(cluster, Instant(seconds(100)), kBusy);
  // 300 · 60 + 50 · 40, 100 · 30, 200 · 100.
  EXPECT_DOUBLE_EQ(made.joules.value(), 20'000 + 3'000 + 20'000);
  EXPECT_DOUBLE_EQ(made.kwh().value(), 43'000 / 3.6e6);
  EXPECT_FALSE(made.cost);
}

TEST(Bill, ADeviceCostsItsPriceBusyOrIdle) {
  const Cluster cluster = two_devices({0, 0, 3}, {0, 0, 1.5}, 0);
  const Bill made = bill(cluster, Instant(seconds(1200)), kBusy);
  EXPECT_DOUBLE_EQ(made.cost.value(), 1.5);
  EXPECT_FALSE(made.joules);
  EXPECT_FALSE(made.kwh());
}

TEST(Bill, ADeviceThatIsAwayDrawsAndCostsNothing) {
  const Cluster cluster = two_devices({300, 50, 3600}, {}, 0);
  const std::vector<LaneTime> lanes{
      {.busy = seconds(60), .reducing = seconds(5), .lost = seconds(10), .absent = seconds(20)},
      {}};
  const Bill made = bill(cluster, Instant(seconds(100)), lanes);
  EXPECT_DOUBLE_EQ(made.joules.value(), 300 * 70 + 50 * 10);  // Lost units computed.
  EXPECT_DOUBLE_EQ(made.cost.value(), 80);
}

TEST(Bill, NothingIsSaidWithoutWattsAndPrices) {
  const Bill made = bill(two_devices({}, {}, 0), Instant(seconds(100)), kBusy);
  EXPECT_FALSE(made.joules);
  EXPECT_FALSE(made.cost);
}

TEST(Bill, TheHostAloneMayHaveWatts) {
  EXPECT_DOUBLE_EQ(bill(two_devices({}, {}, 10), Instant(seconds(100)), kBusy).joules.value(), 1e3);
}

}  // namespace
}  // namespace shardlab
