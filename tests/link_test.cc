#include "sched/link.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace shardlab {
namespace {

Instant at(std::int64_t ns) { return Instant{Duration{ns}}; }

TEST(Link, PassesOneAfterTheOtherLatencyIncluded) {
  const LinkSpec spec{Duration{10}, 2e9};  // Two bytes per nanosecond.
  Link link;
  const Link::Passage first = link.pass(at(100), transfer_time(50, spec));
  EXPECT_EQ(first.from, at(100));
  EXPECT_EQ(first.to, at(100 + 10 + 25));
  const Link::Passage waits =
      link.pass(at(120), transfer_time(3, spec));  // Rounded up to whole nanoseconds.
  EXPECT_EQ(waits.from, at(135));
  EXPECT_EQ(waits.to, at(135 + 10 + 2));
  EXPECT_EQ(link.pass(at(500), transfer_time(0, spec)).to, at(510));
}

TEST(Link, WithoutARateOnlyLatencyCounts) {
  EXPECT_EQ(Link().pass(at(1), transfer_time(1 << 30, LinkSpec{Duration{7}, 0})).to, at(8));
  EXPECT_EQ(Link().pass(at(1), transfer_time(1 << 30, LinkSpec{})).to, at(1));
}

TEST(Link, OneEngineServesBothDirectionsTwoServeEach) {
  Cluster cluster;
  for (const int engines : {1, 2, 0}) {
    cluster.devices.emplace_back();
    cluster.devices.back().copy_engines = engines;
  }
  const auto queue = [&](std::size_t device, Direction direction) {
    Transfer transfer;
    transfer.device = device_id(device);
    transfer.direction = direction;
    return link_index(cluster, transfer);
  };
  EXPECT_EQ(queue(0, Direction::kPromote), queue(0, Direction::kDemote));
  for (const std::size_t device : {1u, 2u}) {
    EXPECT_EQ(queue(device, Direction::kPromote), device);
    EXPECT_EQ(queue(device, Direction::kDemote), device + 3);
  }
}

Transfer transfer(std::size_t device, Direction direction, Bytes bytes) {
  Transfer made;
  made.device = device_id(device);
  made.direction = direction;
  made.bytes = bytes;
  return made;
}

TEST(Link, OfAnItemInTheMemoryOfAnotherNodeHasTheNetworkBeforeIt) {
  Cluster cluster;
  for (const char* node : {"a", "b", "a"}) {
    DeviceSpec device;
    device.name = std::string("on-") + node;
    device.node = node;
    device.link = {Duration{10}, 1e9};
    cluster.devices.push_back(device);
  }
  Transfer far = transfer(1, Direction::kPromote, 100);
  far.remote = true;
  EXPECT_NE(error_of([&] { link_time(cluster, far); }).find("on-b"), std::string::npos);
  cluster.network = LinkSpec{Duration{30}, 5e8};
  EXPECT_EQ(link_time(cluster, far), Duration{10 + 30 + 100 + 200});
  cluster.devices[1].link = {};
  EXPECT_EQ(link_time(cluster, far), Duration{30 + 200});
  EXPECT_EQ(nodes_of(cluster), (std::vector<std::uint16_t>{0, 1, 0}));
  cluster.devices[1].node = "a";
  EXPECT_TRUE(nodes_of(cluster).empty());
}

TEST(Link, BackTakesWhatLinkBackSaysAlsoWithOneEngine) {
  Cluster cluster;
  for (const int engines : {0, 1, 2}) {
    DeviceSpec device;
    device.copy_engines = engines;
    device.link = {Duration{10}, 1e9};
    if (engines > 0) device.back = {Duration{20}, 5e8};
    cluster.devices.push_back(device);
  }
  for (const std::size_t device : {0u, 1u, 2u}) {
    EXPECT_EQ(link_time(cluster, transfer(device, Direction::kPromote, 100)), Duration{110});
    EXPECT_EQ(link_time(cluster, transfer(device, Direction::kDemote, 100)),
              device == 0 ? Duration{110} : Duration{220});
  }
  EXPECT_EQ(make_links(cluster).size(), 9u);  // To the devices, back, and between them.
  EXPECT_EQ(link_count(cluster), 6u);         // None between them is used.
  cluster.devices[1].peer = LinkSpec{};
  EXPECT_EQ(link_count(cluster), 9u);
  cluster.devices[1].peer.reset();
  const std::vector<std::int64_t> expected = {110, 110, 110, 110, 220, 220};
  for (std::size_t l = 0; l < expected.size(); ++l) {
    const Direction direction = l < 3 ? Direction::kPromote : Direction::kDemote;
    EXPECT_EQ(link_time(cluster, transfer(l % 3, direction, 100)).count(), expected[l]);
  }
}

TEST(Link, EnginesTakeTheMeasuredCopiesWhereTheirLinkIsNotPaced) {
  Profile profile;
  profile.alone.copy = {Duration{7}, 2e9};
  profile.alone.copy_back = {Duration{9}, 1e9};
  profile.loaded.copy = profile.loaded.copy_back = {Duration{1000}, 1};
  Cluster cluster;
  cluster.host_memory = 5;
  for (int d = 0; d < 6; ++d) {
    DeviceSpec device;
    device.copy_engines = d % 3;
    if (d >= 3) device.link = {Duration{3}, d == 3 ? 0.0 : 1e6};
    cluster.devices.push_back(device);
  }
  const Cluster found = with_measured_links(cluster, profile);
  EXPECT_EQ(found.host_memory, 5);
  ASSERT_EQ(found.devices.size(), 6u);
  for (std::size_t d = 0; d < 6; ++d) {
    SCOPED_TRACE(d);
    const DeviceSpec& device = found.devices[d];
    const bool measured = d == 1 || d == 2;
    EXPECT_EQ(device.back.has_value(), measured);
    if (measured) {
      EXPECT_EQ(device.link.latency, Duration{7});
      EXPECT_EQ(device.link.bytes_per_second, 2e9);
      EXPECT_EQ(device.link_back().latency, Duration{9});
      EXPECT_EQ(device.link_back().bytes_per_second, 1e9);
    } else {
      EXPECT_EQ(device.link.latency, cluster.devices[d].link.latency);
      EXPECT_EQ(device.link.bytes_per_second, cluster.devices[d].link.bytes_per_second);
    }
  }
}

TEST(Link, OnlyTheWayThatIsNotPacedIsMeasured) {
  Profile profile;
  profile.alone.copy = {Duration{7}, 2e9};
  profile.alone.copy_back = {Duration{9}, 1e9};
  Cluster cluster;
  cluster.devices.resize(2);
  for (DeviceSpec& device : cluster.devices) device.copy_engines = 2;
  cluster.devices[0].back = {Duration{5}, 3e9};
  cluster.devices[1].link = {Duration{5}, 3e9};
  cluster.devices[1].back = LinkSpec{};
  const Cluster found = with_measured_links(cluster, profile);
  EXPECT_EQ(found.devices[0].link.latency, Duration{7});
  EXPECT_EQ(found.devices[0].link_back().latency, Duration{5});
  EXPECT_EQ(found.devices[1].link.latency, Duration{5});
  EXPECT_EQ(found.devices[1].link_back().latency, Duration{9});
}

TEST(Link, TimesThatWereMeasuredHoldContentionAlready) {
  Cluster cluster;
  cluster.switches = {{"root", 1, 1, 1, kNoSwitch}};
  cluster.devices.resize(1);
  DeviceSpec& device = cluster.devices[0];
  device.link = {Duration{3}, 5};
  device.parent = 0;
  device.slow_down_promote = device.slow_down_demote = 2;
  const Cluster found = without_contention(cluster);
  EXPECT_TRUE(found.switches.empty());
  EXPECT_EQ(found.devices[0].parent, kNoSwitch);
  EXPECT_EQ(found.devices[0].slow_down_promote, 1);
  EXPECT_EQ(found.devices[0].slow_down_demote, 1);
  EXPECT_EQ(found.devices[0].link.bytes_per_second, 5);
}

}  // namespace
}  // namespace shardlab
