#include "sched/route.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "core/error.h"
#include "sched/link.h"

namespace shardlab {
namespace {

/// Paces that follow one another.
LinkSpec one_after_other(const LinkSpec& first, const LinkSpec& second) {
  double per_byte = 0;
  for (const LinkSpec& link : {first, second}) {
    if (link.bytes_per_second > 0) per_byte += 1 / link.bytes_per_second;
  }
  return {first.latency + second.latency, per_byte > 0 ? 1 / per_byte : 0};
}

LinkSpec slower(const LinkSpec& a, const LinkSpec& b) {
  LinkSpec link{std::max(a.latency, b.latency), std::min(a.bytes_per_second, b.bytes_per_second)};
  if (link.bytes_per_second == 0) {
    link.bytes_per_second = std::max(a.bytes_per_second, b.bytes_per_second);
  }
  return link;
}

Duration ring_time(const Cluster& cluster, std::span<const DeviceId> ring, Bytes bytes,
                   int rounds) {
  const auto count = static_cast<Bytes>(ring.size());
  if (count < 2) return {};
  const Bytes share = (bytes + count - 1) / count;
  Duration slowest{};
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const LinkSpec hop = route(cluster, ring[i], ring[(i + 1) % ring.size()]);
    slowest = std::max(slowest, transfer_time(share, hop));
  }
  return rounds * (count - 1) * slowest;
}

/// `who`: what is on different nodes.
const LinkSpec& network(const Cluster& cluster, const std::string& who) {
  if (cluster.network) return *cluster.network;
  throw Error(who + " are on different nodes, which nothing joins; give the cluster a [network]");
}

}  // namespace

bool direct(const Cluster& cluster, DeviceId from, DeviceId to) {
  const DeviceSpec& a = cluster.devices[index(from)];
  const DeviceSpec& b = cluster.devices[index(to)];
  return from != to && (a.node != b.node || (a.peer && b.peer));
}

LinkSpec route(const Cluster& cluster, DeviceId from, DeviceId to) {
  const DeviceSpec& a = cluster.devices[index(from)];
  const DeviceSpec& b = cluster.devices[index(to)];
  if (a.node != b.node) return network(cluster, a.name + " and " + b.name);
  if (a.peer && b.peer) return slower(*a.peer, *b.peer);
  return one_after_other(a.link_back(), b.link);
}

const LinkSpec& network_to(const Cluster& cluster, DeviceId device) {
  return network(cluster, cluster.devices[index(device)].name + " and what it loads");
}

std::vector<std::uint16_t> nodes_of(const Cluster& cluster) {
  std::map<std::string_view, std::uint16_t> numbers;
  std::vector<std::uint16_t> nodes;
  for (const DeviceSpec& device : cluster.devices) {
    nodes.push_back(
        numbers.emplace(device.node, static_cast<std::uint16_t>(numbers.size())).first->second);
  }
  if (numbers.size() < 2) nodes.clear();
  return nodes;
}

Duration all_reduce_time(const Cluster& cluster, std::span<const DeviceId> ring, Bytes bytes) {
  return ring_time(cluster, ring, bytes, 2);
}

Duration reduce_scatter_time(const Cluster& cluster, std::span<const DeviceId> ring, Bytes bytes) {
  return ring_time(cluster, ring, bytes, 1);
}

}  // namespace shardlab
