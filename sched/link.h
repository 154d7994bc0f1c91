#pragma once

#include <algorithm>
#include <vector>

#include "core/cluster.h"
#include "core/profile.h"
#include "sched/backend.h"
#include "sched/route.h"

namespace shardlab {

/// Rounded up to the next nanosecond; for what is not below none.
inline Duration round_up(double nanoseconds) {
  const auto below = static_cast<Duration::rep>(nanoseconds);
  return Duration{below + (static_cast<double>(below) < nanoseconds ? 1 : 0)};
}

/// The same, but less than a thousandth above a whole one counts as none, so that sums of thirds
/// come out whole.
inline Duration whole(double nanoseconds) { return round_up(nanoseconds - 1e-3); }

/// Time that `bytes` take at a rate, rounded up to the next nanosecond; rate 0: none.
inline Duration transfer_time(Bytes bytes, double bytes_per_second) {
  if (bytes_per_second <= 0) return Duration{};
  return round_up(static_cast<double>(bytes) / bytes_per_second * 1e9);
}

inline Duration transfer_time(Bytes bytes, const CopyCost& cost) {
  return cost.latency + transfer_time(bytes, cost.bytes_per_second);
}

inline Duration transfer_time(Bytes bytes, const LinkSpec& link) {
  return link.latency + transfer_time(bytes, link.bytes_per_second);
}

/// Which queue an item waits in: promotions of all devices come first, then demotions, then what
/// leaves a device for another. A single copy engine serves both directions of its device, one at a
/// time.
inline std::size_t link_index(const Cluster& cluster, const Transfer& transfer) {
  if (transfer.direction == Direction::kPeer) {
    return 2 * cluster.devices.size() + index(transfer.source);
  }
  const std::size_t device = index(transfer.device);
  const bool own =
      transfer.direction == Direction::kDemote && cluster.devices[device].copy_engines != 1;
  return device + (own ? cluster.devices.size() : 0);
}

/// One direction of a link, first come first served: a copy begins at the later of its request and
/// the end of the one before it. The executor paces by the same rule.
class Link {
 public:
  struct Passage {
    Instant from, to;
  };
  Passage pass(Instant asked, Duration time) {
    const Instant from = std::max(asked, free_);
    free_ = from + time;
    return {from, free_};
  }

 private:
  Instant free_{};
};

/// What the transfer takes by the latency and rate of its direction, whichever queue it waits in.
inline Duration link_time(const Cluster& cluster, const Transfer& transfer) {
  if (transfer.direction == Direction::kPeer) {
    return transfer_time(transfer.bytes, route(cluster, transfer.source, transfer.device));
  }
  const DeviceSpec& device = cluster.devices[index(transfer.device)];
  const bool there = transfer.direction == Direction::kPromote;
  const Duration own = transfer_time(transfer.bytes, there ? device.link : device.link_back());
  if (!transfer.remote) return own;
  return own + transfer_time(transfer.bytes, network_to(cluster, transfer.device));
}

/// How many link_index() tells apart: those between devices only where some can be used.
inline std::size_t link_count(const Cluster& cluster) {
  const bool peers = std::ranges::any_of(
      cluster.devices, [](const DeviceSpec& device) { return device.peer.has_value(); });
  return (peers || !nodes_of(cluster).empty() ? 3 : 2) * cluster.devices.size();
}

/// Of all devices, by link_index().
inline std::vector<Link> make_links(const Cluster& cluster) {
  return std::vector<Link>(3 * cluster.devices.size());
}

/// Costs of the host with which a simulation of `cluster` reckons.
inline std::vector<CostField> host_costs_of(const Cluster& cluster) {
  std::vector<CostField> result{CostField::kUnitOverhead, CostField::kDispatch};
  const auto any = [&](const auto& wants) { return std::ranges::any_of(cluster.devices, wants); };
  const bool there = any(
      [](const DeviceSpec& device) { return device.copy_engines == 0 || !device.link.paced(); });
  const bool back = any([](const DeviceSpec& device) {
    return device.copy_engines > 0 && !device.link_back().paced();
  });
  if (there) result.push_back(CostField::kCopy);
  if (back) result.push_back(CostField::kCopyBack);
  return result;
}

/// The cluster as it is simulated: where copy engines copy over a link that is not paced, copies
/// that way take what the profile measured; beside others, where lanes share an accelerator. Throws
/// Error where it did not.
inline Cluster with_measured_links(Cluster cluster, const Profile& profile) {
  std::vector<CostField> copies = host_costs_of(cluster);
  std::erase_if(copies, [](CostField field) { return !is_copy(field); });
  refuse_missing(profile, {}, copies);
  const auto shared = [&](const DeviceSpec& device) {
    return std::ranges::count_if(cluster.devices, [&](const DeviceSpec& other) {
             return other.kind == device.kind && other.ordinal == device.ordinal;
           }) > 1;
  };
  const auto link = [](const CopyCost& cost) {
    return LinkSpec{cost.latency, cost.bytes_per_second};
  };
  for (DeviceSpec& device : cluster.devices) {
    if (device.copy_engines == 0) continue;
    const HostCosts& host = device.kind != "cpu" && shared(device) ? profile.loaded : profile.alone;
    const bool there = !device.link.paced(), back = !device.link_back().paced();
    if (there) device.link = link(host.copy);
    if (back) device.back = link(host.copy_back);
  }
  return cluster;
}

/// The cluster for times that were measured: they hold already what copies do to each other and to
/// computing.
inline Cluster without_contention(Cluster cluster) {
  cluster.switches.clear();
  for (DeviceSpec& device : cluster.devices) {
    device.parent = kNoSwitch;
    device.slow_down_promote = device.slow_down_demote = 1;
  }
  return cluster;
}

}  // namespace shardlab
