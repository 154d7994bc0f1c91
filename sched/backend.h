#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <variant>

#include "sched/program.h"

namespace shardlab {

/// A unit that a device shall run now.
struct UnitRun {
  JobId job{};
  std::uint32_t unit = 0;
  std::int64_t minibatch = 0;
  DeviceId device{};
  std::int32_t attempt = 1;  ///< Grows whenever something of the job is lost or tried again.
  bool loaded = false;       ///< Other devices compute too: the simulator takes the loaded cost.
};

using TransferId = std::uint32_t;

/// An item that shall move between host and device, or devices, now.
struct Transfer {
  TransferId id = 0;
  JobId job{};
  ItemIndex item = 0;
  DeviceId device{};
  std::int64_t minibatch = 0;
  Bytes bytes = 0;
  DeviceId source = kNoDevice;  ///< Of Direction::kPeer.
  Direction direction{};
  bool loaded = false;
  bool lane_last = false;   ///< A lane copies it once it has come over its link.
  bool remote : 1 = false;  ///< From the host memory of another node, over the network.
  /// A gradient: the host steps with it once it has come, and only then is the transfer done.
  bool steps : 1 = false;
};
static_assert(sizeof(Transfer) == 40);  // Part of every copy that Residency keeps.

// Events: what a backend reports. `at` is when it happened on the run's clock.

struct UnitDone {
  DeviceId device{};
  JobId job{};
  std::int32_t attempt = 1;
  Instant from{}, to{};
  Duration recompute{};
};
/// The unit came to nothing; its job cannot go on (a loss that is no number, an exception).
struct UnitFailed {
  DeviceId device{};
  JobId job{};
  std::int32_t attempt = 1;
  Instant from{}, to{};
  std::string_view reason;  ///< Lives as long as the backend.
};
struct LinkDone {
  TransferId transfer = 0;
  Instant from{}, to{};
};
/// Of one that Transfer::steps: over its link; since `step_from` the host stepped with it, until
/// now.
struct HostStepped {
  TransferId transfer = 0;
  Instant from{}, to{}, step_from{};
};
/// The same, but the step came to nothing: its job cannot go on.
struct StepFailed {
  TransferId transfer = 0;
  std::string_view reason;  ///< Lives as long as the backend.
};
struct LaneCopyDone {
  TransferId transfer = 0;
  Instant from{}, to{};
};
/// What snapshot() or restore() asked for is done. `skipped`: nothing was kept.
struct SnapshotTaken {
  JobId job{};
  bool skipped = false;
};
struct Restored {
  JobId job{};
};
/// The instant of the last wake_at() has come.
struct Woken {};
/// All that ran, moved or lay on the device is gone; nothing more is reported of it until it joins
/// again, empty.
struct DeviceLost {
  DeviceId device{};
};
struct DeviceJoined {
  DeviceId device{};
};
/// The unit found no memory: it may be tried again with less beside it, and what it was to change
/// is as it was; unless it is `spoilt`.
struct UnitRetried {
  DeviceId device{};
  JobId job{};
  std::int32_t attempt = 1;
  bool spoilt = false;
};
/// Nothing more is claimed; what runs or moves comes to its end.
struct Interrupted {};
/// Every job ends at its next border, where settled() is told of it; none begins.
struct StopAsked {};

using Event = std::variant<UnitDone, UnitFailed, LinkDone, LaneCopyDone, Woken, Interrupted,
                           SnapshotTaken, Restored, DeviceLost, DeviceJoined, UnitRetried,
                           HostStepped, StepFailed, StopAsked>;
static_assert(std::is_trivially_copyable_v<Event>);  // Tens of millions a second pass.

/// At most one of them.
struct Lone {
  const UnitDone* unit = nullptr;
  const LinkDone* copy = nullptr;
};

/// Devices and links, simulated or real. The Driver starts at most one unit or lane copy per device
/// at a time.
class Backend {
 public:
  virtual ~Backend() = default;

  /// Nanoseconds since the start of the run.
  [[nodiscard]] virtual Instant now() const = 0;
  /// Runs on the device's compute lane; ends with UnitDone or UnitFailed.
  virtual void start_unit(const UnitRun& run) = 0;
  /// Sends an item over the device's link; ends with LinkDone, or HostStepped or StepFailed where
  /// the transfer `steps`. Same direction: in the order of the calls. Requires: no other transfer
  /// of that id is under way.
  virtual void start_link(const Transfer& transfer) = 0;
  /// Copies an item by the device's compute lane; ends with LaneCopyDone.
  virtual void start_lane_copy(const Transfer& transfer) = 0;
  /// Reports Woken at that instant, which is after now. One at a time.
  virtual void wake_at(Instant instant) = 0;
  /// Items lie in memories of its own, so that it must hear of dropped().
  [[nodiscard]] virtual bool keeps_items() const { return true; }
  /// An item needs no room on the device, or (`kNoDevice`) in host memory, any more.
  virtual void dropped(JobId job, ItemIndex item, DeviceId from) = 0;

  /// Keeps a job as host memory holds it, after so many minibatches: what it goes back to. Returns
  /// true where that takes no time, else ends with SnapshotTaken.
  virtual bool snapshot(JobId, std::int64_t /*minibatches*/) { return true; }
  /// Makes host memory what it was at the job's last snapshot, after so many minibatches, or at its
  /// beginning. Returns true where that takes no time, else ends with Restored.
  virtual bool restore(JobId, std::int64_t /*minibatches*/) { return true; }
  /// The job does no more and is in host memory after so many minibatches, where nothing changes
  /// it: it has completed, its tuner stopped it, or the run was asked to stop.
  virtual void settled(JobId, std::int64_t /*minibatches*/) {}
  /// Something of the job came to nothing, or no device has room for it: it ends before its time.
  /// Never of a job that goes back instead.
  virtual void stopped(JobId, std::string_view /*reason*/) {}
  /// The device whose lane probably reports next, or kNoDevice.
  [[nodiscard]] virtual DeviceId next_lane() const { return kNoDevice; }
  /// The next event, if it is the end of a unit or of a copy over a link, and nothing else happens
  /// at its instant, `to`: what wait() would report, in less time. Else none, and nothing has
  /// happened. Valid until anything is started.
  virtual Lone next_alone() { return {}; }
  /// Events of one instant, in a fixed order; empty when none can come any more. The simulator
  /// moves its clock; the executor hands over what has been reported.
  virtual std::span<const Event> wait() = 0;
};

}  // namespace shardlab
