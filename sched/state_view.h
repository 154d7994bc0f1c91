#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/cluster.h"
#include "core/timeline.h"
#include "sched/program.h"

namespace shardlab {

/// What a policy may look at when it decides: estimates and what has happened, never a duration yet
/// to happen. Nothing is kept for it: each answer is read from the scheduling loop when it is asked
/// for, so a policy that never asks pays nothing.
class StateView {
 public:
  /// One device.
  struct Lane {
    TrackId running = kNoTrack;  ///< Whose unit computes there.
    std::uint32_t unit = 0;      ///< Which, of its job; while one runs.
    Instant since{};             ///< Likewise: when it was started,
    Instant expected_end{};      ///< and when it should end; that may have passed.
    std::size_t claims = 0;      ///< What it holds, the unit that runs included.
    /// When all it holds should have run, were all copies there and all predecessors done; now, if
    /// it holds nothing; more than a hundred years on, while the device is lost.
    Instant free_at{};
  };
  /// What waits for or passes one direction of a device's link.
  struct Queue {
    std::size_t transfers = 0;
    Bytes bytes = 0;
  };
  enum class JobState : std::uint8_t {
    kWaiting,  ///< It has not arrived, or has not been admitted.
    kRunning,
    kPaused,  ///< By its tuner; see sched/tuner.h.
    kEnded
  };

  virtual ~StateView() = default;

  /// Jobs, their units and what they cost. Lives as long as the view, as does cluster().
  [[nodiscard]] virtual const Program& program() const = 0;
  [[nodiscard]] virtual const Cluster& cluster() const = 0;

  [[nodiscard]] virtual Instant now() const = 0;
  [[nodiscard]] virtual Lane lane(DeviceId device) const = 0;
  /// Transfer::source's for Direction::kPeer. Costs O(copies on all devices).
  [[nodiscard]] virtual Queue queue(DeviceId device, Direction direction) const = 0;
  /// Bytes of what the unit reads that are on the device or on their way there. 0 where memory is
  /// left out.
  [[nodiscard]] virtual Bytes present(JobId job, std::uint32_t unit, DeviceId device) const = 0;
  /// Devices where some of what the unit reads has a place, so all where present() is more than 0;
  /// in no order, some more than once. Valid until this is asked again.
  [[nodiscard]] virtual std::span<const DeviceId> holders(JobId job, std::uint32_t unit) const = 0;
  [[nodiscard]] virtual JobState state(JobId job) const = 0;
  [[nodiscard]] virtual JobId job(TrackId track) const = 0;
  /// Units of the track that are done, of all minibatches.
  [[nodiscard]] virtual std::size_t units_done(TrackId track) const = 0;
  /// Minibatches that the track has completed.
  [[nodiscard]] virtual std::int64_t minibatch(TrackId track) const = 0;
  /// Estimated time of all its units that are not done, on devices of class 0.
  [[nodiscard]] virtual Duration remaining(TrackId track) const = 0;
};

}  // namespace shardlab
