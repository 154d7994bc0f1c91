#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "profiler/copy_cost.h"

namespace shardlab {

enum class LinkWay : std::uint8_t { kToDevice, kToHost, kToPeer };

/// One way of copying, measured.
struct LinkCost {
  std::string device;
  LinkWay way = LinkWay::kToDevice;
  std::string peer = {};          ///< Where a copy to a peer goes.
  bool pinned = true;             ///< The host's side is page-locked. On the CPU nothing is.
  std::vector<CopySample> sizes;  ///< Median time of each.
  CopyCost cost;                  ///< Latency and rate by least squares over sizes.
  double residual = 0;  ///< The largest relative error of the fit over the sizes' medians.
  /// Bytes per second while all that copy at once do, of the largest size; 0: not measured.
  double shared_rate = 0;
  int copying = 1;  ///< How many those are: both directions of all devices; peers in a ring.
};

/// Several ways at once.
struct SharedCopies {
  std::string through;  ///< What they share: a switch of the cluster, or "host memory".
  std::string ways;     ///< "to device", "to host" or "both".
  bool pinned = true;
  int copying = 0;
  double alone = 0;     ///< Bytes per second of the largest size, the sum of each alone.
  double together = 0;  ///< The same while all copy.

  /// How many times longer a copy takes; 1 where they do not disturb each other.
  [[nodiscard]] double contention() const { return together > 0 ? alone / together : 1; }
};

/// By how much longer computing takes while a copy of the same device is under way: what a cluster
/// file calls slow_down_promote and slow_down_demote.
struct CopySlowDown {
  std::string device;
  double promote = 1, demote = 1;
};

struct LinkReport {
  std::vector<LinkCost> links;
  std::vector<SharedCopies> shared;
  std::vector<CopySlowDown> slow_downs;
};

struct LinkOptions {
  int rounds = 20;
  Bytes largest = 0;             ///< Of a copy; 0: as large as CopyBench takes.
  bool beside_computing = true;  ///< Also measures CopySlowDown.
};

/// Copies between host memory and every device's, each way alone, from each accelerator to each
/// other, then several at once: the first two, three ... devices in each direction, all both ways,
/// all below each switch of the cluster, all accelerators in a ring. On an accelerator page-locked
/// and pageable, on CPU devices by the thread of each. Last how much longer computing takes beside
/// a copy. Throws Error when there is no such device.
LinkReport measure_links(const Cluster& cluster, const LinkOptions& options = {});

}  // namespace shardlab
