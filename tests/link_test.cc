#include "sched/link.h"

#include <gtest/gtest.h>

namespace shardlab {
namespace {

Instant at(std::int64_t ns) { return Instant{Duration{ns}}; }

TEST(Link, PassesOneAfterTheOtherLatencyIncluded) {
  Link link({Duration{10}, 2e9});  // Two bytes per nanosecond.
  const Link::Passage first = link.pass(at(100), 50);
  EXPECT_EQ(first.from, at(100));
  EXPECT_EQ(first.to, at(100 + 10 + 25));
  const Link::Passage waits = link.pass(at(120), 3);  // Rounded up to whole nanoseconds.
  EXPECT_EQ(waits.from, at(135));
  EXPECT_EQ(waits.to, at(135 + 10 + 2));
  EXPECT_EQ(link.pass(at(500), 0).to, at(510));
}

TEST(Link, WithoutARateOnlyLatencyCounts) {
  EXPECT_EQ(Link({Duration{7}, 0}).pass(at(1), 1 << 30).to, at(8));
  EXPECT_EQ(Link({}).pass(at(1), 1 << 30).to, at(1));
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

}  // namespace
}  // namespace shardlab
