#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/cluster.h"
#include "core/profile.h"
#include "sched/backend.h"

namespace shardlab {

/// Time that `bytes` take at a rate, rounded up to the next nanosecond; rate 0: none.
inline Duration transfer_time(Bytes bytes, double bytes_per_second) {
  if (bytes_per_second <= 0) return Duration{};
  return Duration{
      static_cast<Duration::rep>(std::ceil(static_cast<double>(bytes) / bytes_per_second * 1e9))};
}

inline Duration transfer_time(Bytes bytes, const CopyCost& cost) {
  return cost.latency + transfer_time(bytes, cost.bytes_per_second);
}

/// Which queue an item waits in: promotions of all devices come first, then demotions. A single
/// copy engine serves both directions of its device, one at a time.
inline std::size_t link_index(const Cluster& cluster, const Transfer& transfer) {
  const std::size_t device = index(transfer.device);
  const bool own =
      transfer.direction == Direction::kDemote && cluster.devices[device].copy_engines != 1;
  return device + (own ? cluster.devices.size() : 0);
}

/// One direction of a link, first come first served: a copy ends latency + bytes/rate after the
/// later of its request and the end of the one before it. The executor paces by the same rule.
class Link {
 public:
  explicit Link(const LinkSpec& spec) : spec_(spec) {}

  struct Passage {
    Instant from, to;
  };
  Passage pass(Instant asked, Bytes bytes) {
    const Instant from = std::max(asked, free_);
    free_ = from + spec_.latency + transfer_time(bytes, spec_.bytes_per_second);
    return {from, free_};
  }

 private:
  LinkSpec spec_;
  Instant free_{};
};

/// Of all devices, by link_index().
inline std::vector<Link> make_links(const Cluster& cluster) {
  std::vector<Link> links;
  for (int direction = 0; direction < 2; ++direction) {
    for (const DeviceSpec& device : cluster.devices) links.emplace_back(device.link);
  }
  return links;
}

}  // namespace shardlab
