#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/time.h"

namespace shardlab {

/// Host to device and device to host, each direction alone (full duplex), one copy at a time per
/// direction.
struct LinkSpec {
  Duration latency{};
  /// 0: not paced; a copy takes what the profile says of the lane's memory copy or the copy engine.
  double bytes_per_second = 0;

  [[nodiscard]] bool paced() const { return bytes_per_second > 0 || latency > Duration{}; }
};

/// What a device draws and costs; 0 where it is not given.
struct Upkeep {
  double watts_busy = 0;      ///< While a unit computes.
  double watts_idle = 0;      ///< All other time; not above watts_busy.
  double price_per_hour = 0;  ///< Busy or idle, in any currency.
};

constexpr int kNoSwitch = -1;

/// Kind of devices whose lanes take the estimated time of what they run instead of computing.
constexpr const char* kEmulated = "emulated";

/// A bandwidth that the links below it share: a PCIe switch, a root complex, host memory, a network
/// card. Divided max-min fairly among the copies in flight. 0: not limited.
struct SwitchSpec {
  std::string name;
  double bytes_per_second = 0;           ///< To the devices.
  double back_bytes_per_second = 0;      ///< From the devices.
  double together_bytes_per_second = 0;  ///< Both directions in sum.
  int parent = kNoSwitch;  ///< Index into Cluster::switches; no switch is above itself.
};

struct DeviceSpec {
  std::string name;
  std::string kind = "cpu";  ///< Or an accelerator as LibTorch names it: "cuda"; or kEmulated.
  Bytes memory =
      kUnlimited;   ///< Budget for parameters, gradients, state, activations and workspace.
  int threads = 1;  ///< CPU threads that compute on it.
  /// Engines that copy beside the compute lane: 1 for both directions in turn, or 2. With 0, as for
  /// CPU lanes without a spare core, the memory copy itself takes the compute lane; only the link's
  /// pacing runs beside it.
  int copy_engines = 0;
  LinkSpec link;  ///< Host to device, and back where `back` says nothing else.
  std::optional<LinkSpec> back = std::nullopt;
  int ordinal = 0;  ///< Of an accelerator: which of the machine's, from 0.
  Upkeep upkeep = {};
  std::optional<LinkSpec> peer = std::nullopt;  ///< Straight to other devices that have one.
  std::string node{};      ///< Devices of different nodes are joined by the network.
  int parent = kNoSwitch;  ///< Index into Cluster::switches: what its links pass through.
  double speed = 1;        ///< Of computing, relative to the device of its costs.
  std::string costs{};     ///< Key of Profile::others; empty: the profile itself.
  std::string model{};     ///< What it is, as Provenance::device says it; empty: not given.
  /// By how much longer a unit takes while a copy passes the device's link in that direction; from
  /// 1. Both at once: their product. Only simulated.
  double slow_down_promote = 1, slow_down_demote = 1;
  /// When it is lost with all that is on it, and when it is back, in turn; ascending. Simulated.
  std::vector<Instant> leaves = {}, returns = {};
  /// Units whose data may come while it computes another: 0, none, to kMostSlots - 1. Not given: as
  /// many as Plan::slots has beyond 1.
  std::optional<int> buffer_slots = std::nullopt;
  [[nodiscard]] const LinkSpec& link_back() const { return back ? *back : link; }
  /// Units that it claims at once under a plan of so many.
  [[nodiscard]] int slots(int of_plan) const { return buffer_slots ? 1 + *buffer_slots : of_plan; }
  [[nodiscard]] bool paced() const {
    return link.paced() || link_back().paced() || parent != kNoSwitch;
  }
};

/// Below the host's memory, which then holds what was used last. Only simulated.
struct DiskSpec {
  LinkSpec read, write;       ///< One item at a time each.
  Bytes memory = kUnlimited;  ///< Must hold all that the host has to keep.
};

struct Cluster {
  Bytes host_memory = kUnlimited;
  std::optional<DiskSpec> disk = std::nullopt;
  std::vector<DeviceSpec> devices;
  double host_watts = 0;  ///< What the host draws all the time; 0: not given.
  std::optional<LinkSpec> network = std::nullopt;  ///< Between nodes.
  std::vector<SwitchSpec> switches = {};

  /// Of the device that has most; 1 without devices.
  [[nodiscard]] int most_slots(int of_plan) const {
    int most = 1;
    for (const DeviceSpec& device : devices) most = std::max(most, device.slots(of_plan));
    return most;
  }
  /// Some device leaves during the run.
  [[nodiscard]] bool loses_devices() const {
    return std::ranges::any_of(devices,
                               [](const DeviceSpec& device) { return !device.leaves.empty(); });
  }
};

}  // namespace shardlab
