#pragma once

#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/time.h"

namespace shardlab {

/// Host to device and device to host, each direction alone (full duplex), one copy at a time per
/// direction.
struct LinkSpec {
  Duration latency{};
  /// 0: not paced; a copy takes what the lane's memory copy takes, or no time by a copy engine.
  double bytes_per_second = 0;

  [[nodiscard]] bool paced() const { return bytes_per_second > 0 || latency > Duration{}; }
};

struct DeviceSpec {
  std::string name;
  std::string kind = "cpu";
  Bytes memory =
      kUnlimited;   ///< Budget for parameters, gradients, state, activations and workspace.
  int threads = 1;  ///< CPU threads that compute on it.
  /// Engines that copy beside the compute lane: 1 for both directions in turn, or 2. With 0, as for
  /// CPU lanes without a spare core, the memory copy itself takes the compute lane; only the link's
  /// pacing runs beside it.
  int copy_engines = 0;
  LinkSpec link;
};

struct Cluster {
  Bytes host_memory = kUnlimited;
  std::vector<DeviceSpec> devices;
};

}  // namespace shardlab
