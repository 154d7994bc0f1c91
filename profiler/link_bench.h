#pragma once

#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/profile.h"
#include "profiler/copy_cost.h"

namespace shardlab {

/// One way of copying, measured.
struct LinkCost {
  std::string device;
  bool to_device = true;
  bool pinned = true;             ///< The host's side is page-locked. On the CPU nothing is.
  std::vector<CopySample> sizes;  ///< Median time of each.
  CopyCost cost;                  ///< Latency and rate by least squares over sizes.
  double residual = 0;  ///< The largest relative error of the fit over the sizes' medians.
  double shared_rate =
      0;            ///< Bytes per second while all that copy at once do, of the largest size.
  int copying = 1;  ///< How many those are: both directions of all devices.
};

/// Copies between host memory and every device's, each way alone, and then all ways of one kind at
/// once: on an accelerator page-locked and pageable, on CPU devices by the thread of each. Throws
/// Error when there is no such device.
std::vector<LinkCost> measure_links(const Cluster& cluster, int rounds);

}  // namespace shardlab
