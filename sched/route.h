#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "core/cluster.h"
#include "core/ids.h"
#include "core/time.h"

namespace shardlab {

/// Data of one device goes straight to the other: both have a peer link, or they are on different
/// nodes, which the network joins.
[[nodiscard]] bool direct(const Cluster& cluster, DeviceId from, DeviceId to);

/// What bytes from one device to another travel over: the slower of their peer links, the network,
/// or both host links one after the other. Throws Error when the nodes are not joined.
[[nodiscard]] LinkSpec route(const Cluster& cluster, DeviceId from, DeviceId to);

/// What an item of another node's host memory travels over before the device's link. Throws Error
/// when the nodes are not joined.
[[nodiscard]] const LinkSpec& network_to(const Cluster& cluster, DeviceId device);

/// Which node each device is on, from 0; empty where all are on one.
[[nodiscard]] std::vector<std::uint16_t> nodes_of(const Cluster& cluster);

/// A ring all-reduce of `bytes` per device: 2 (r - 1) steps of bytes / r over the slowest route
/// between neighbours (Patarasuk and Yuan, 2009).
[[nodiscard]] Duration all_reduce_time(const Cluster& cluster, std::span<const DeviceId> ring,
                                       Bytes bytes);

/// Half of it: every device ends with the sum of its own share.
[[nodiscard]] Duration reduce_scatter_time(const Cluster& cluster, std::span<const DeviceId> ring,
                                           Bytes bytes);

}  // namespace shardlab
