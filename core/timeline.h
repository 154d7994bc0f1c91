#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/lane_time.h"
#include "core/time.h"

namespace shardlab {

enum class UnitKind : std::uint8_t {
  kForward,
  kBackward,
  kFused,   ///< Forward and backward of the last shard.
  kReduce,  ///< Replicas add up their gradients.
  kStep,    ///< The optimizer's, where it is no part of a backward.
};
/// What moves or stays as a whole. kGraph is what a forward keeps for its backward where nothing is
/// recomputed; kWeightGradient what microbatches add up until the step. They never leave their
/// device. kFrozen are parameters that are not trained: they are dropped, never written back.
enum class ItemKind : std::uint8_t {
  kParameters,
  kState,
  kActivation,
  kGradient,
  kGraph,
  kWeightGradient,
  kFrozen
};
constexpr int kItemKinds = 7;
enum class Direction : std::uint8_t {
  kPromote,  ///< Host to device.
  kDemote,   ///< Device to host.
  kPeer,     ///< Device to device.
};

/// One unit that ran. A device computes from `from` to `to`; before that it was `claimed`, had its
/// memory `reserved` and all inputs `arrived`.
struct UnitSpan {
  JobId job{};
  std::uint32_t unit = 0;  ///< Index into the units of one minibatch.
  std::int64_t minibatch = 0;
  UnitKind kind{};
  std::int32_t shard = 0;
  DeviceId device{};
  std::int32_t attempt = 1;
  std::int64_t claim = 0;  ///< How many claims came before it in the run, given back or not.
  Instant claimed{}, reserved{}, arrived{}, from{}, to{};
  Duration recompute{};  ///< Part of it that repeated a forward.
  std::int32_t microbatch = 0, replica = 0;
  bool ahead = false;  ///< It was claimed while its predecessor ran; not in a file.
  Turn turn{};         ///< At `claimed`; not in a file.
  Instant ready{};     ///< All units before it were done; later than `claimed` if claimed ahead.
  bool kept = false;   ///< What it changed stayed on the device, see Policy::keeps().
};

/// A unit that a device claimed ahead and gave back before it ran; what came for it may stay.
struct GivenBack {
  JobId job{};
  std::uint32_t unit = 0;
  std::int64_t minibatch = 0;
  DeviceId device{};
  std::int64_t claim = 0;  ///< See UnitSpan.
  Instant claimed{};
  Turn turn{};
};

/// A copy that a policy with an order of its own let go, to make room; see Policy::evicts().
struct Eviction {
  DeviceId device{};
  JobId job{};
  std::uint32_t item = 0;  ///< Index into the job's items.
  bool operator==(const Eviction&) const = default;
};

/// One item that moved between host and device: its wait for and time on the link, then (or before,
/// for a demotion) the memory copy by the compute lane, where the device has no copy engine.
struct CopySpan {
  JobId job{};
  ItemKind item{};
  std::int32_t shard = 0;
  std::int64_t minibatch = 0;  ///< Minibatches of the job that were complete when it was asked for.
  DeviceId device{};
  Direction direction{};
  Bytes bytes = 0;
  Instant asked{};
  Instant link_from{}, link_to{};  ///< Equal where the link is not paced.
  Instant lane_from{}, lane_to{};  ///< Equal where a copy engine does it.
  Instant done{};
  std::int32_t microbatch = 0, replica = 0;
  DeviceId source = kNoDevice;  ///< Of kPeer; `device` is where it goes.
  /// Of a gradient, in the place of parameters, with which the host stepped from then until `done`;
  /// else 0.
  Instant step_from{};
};

/// From `at` on, until the next of the same device.
struct MemorySample {
  Instant at{};
  DeviceId device{};
  Bytes reserved = 0;
};

struct JobEnd {
  Instant at{};
  bool completed = false;  ///< false: stopped; `reason` says why.
  std::string reason;
  std::int64_t minibatches = 0;  ///< Complete.
  Instant arrived{};
  bool stopped_early = false;  ///< Not completed, but whole: its tuner stopped it at a border.
};

/// What ran or moved, where, from when to when: predicted by sim/ or measured by exec/.
struct Timeline {
  std::string plan;
  std::string source;  ///< "simulated", "measured" or "replayed".
  std::vector<std::string> jobs;
  std::vector<std::string> devices;
  std::vector<UnitSpan> units;        ///< In order of their end.
  std::vector<CopySpan> copies;       ///< In order of their end.
  std::vector<MemorySample> memory;   ///< In order of time, 0 before the first; not in a file.
  std::vector<GivenBack> given_back;  ///< In that order; not in a file.
  std::vector<Eviction> evicted;      ///< In that order; not in a file.
  bool placed = false;                ///< The policy said where jobs stay; not in a file.
  std::vector<JobEnd> ends;           ///< Per job.
  std::vector<Bytes> budget;          ///< Per device.
  std::vector<Bytes> peak;  ///< Per device: largest reservation, or what was really allocated.
  /// Per device, where a device was lost or a unit failed, which spans do not tell: what its lane
  /// did, and how long it held claims; else empty; not in a file.
  std::vector<LaneTime> lanes;
  std::vector<Duration> occupied;
  Instant makespan{};  ///< The last job's weights are in host memory.
  bool interrupted = false;
};

std::string to_string(UnitKind kind);    ///< "forward", "step"
std::string to_string(ItemKind kind);    ///< "parameters", "weight gradient"
std::string to_string(Direction which);  ///< "promote", "demote", "peer"

}  // namespace shardlab
