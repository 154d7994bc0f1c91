#pragma once

#include <cstdint>

#include "core/ids.h"
#include "core/time.h"

namespace shardlab {

/// A unit that may be claimed, as a policy sees it: estimates and past events, never a duration yet
/// to happen.
struct Candidate {
  TrackId track{};
  JobId job{};
  std::uint32_t unit = 0;
  std::int64_t minibatch = 0;
  DeviceId bound = kNoDevice;  ///< The only device that may take it, or kNoDevice.
  Duration remaining{};        ///< Estimated time to the end of its track, this unit included.
  Duration unit_time{};        ///< Estimated time of this unit.
  Instant since{};             ///< When it was offered.
  bool ahead = false;          ///< Its predecessor still runs; see Policy::lookahead().
};

/// The device that chooses.
struct DeviceView {
  DeviceId id{};
  Instant now{};
  Turn turn{};
};

/// Which ready unit a free device takes next. At most one unit of a track is a candidate at a time.
/// Ties go to the lower track, so to the lower job. Owns its index of candidates; see
/// sched/candidate_index.h.
class Policy {
 public:
  virtual ~Policy() = default;

  /// `unit` may be picked from now on, until it is or until `gone(unit.track)`.
  virtual void ready(const Candidate& unit) = 0;
  virtual void gone(TrackId track) = 0;
  /// The track whose unit `device` takes next, which is no candidate any more; or kNoTrack to leave
  /// the slot empty until the next event. Depends only on earlier calls and on the seed. At most
  /// O(log tracks).
  virtual TrackId pick(const DeviceView& device) = 0;
  /// Where a job goes that stays on one device: one of the cluster's, or kNoDevice for the one with
  /// most room. Asked at admission.
  virtual DeviceId place(JobId) { return kNoDevice; }
  /// Completion lookahead: when a device chooses for its buffer, also offer the units whose
  /// predecessor, running elsewhere or here, is expected to end before this device is free.
  [[nodiscard]] virtual bool lookahead() const { return false; }
  /// Keeps the unit of `track` that it claimed ahead however late the producer is; else a free
  /// device gives it back.
  [[nodiscard]] virtual bool patient(TrackId) const { return false; }
  /// When it wants to choose again though nothing else happens then; kNever: never. Asked before
  /// the run, and if that was not kNever, after every decision.
  [[nodiscard]] virtual Instant awaits(Instant) const { return kNever; }
};

}  // namespace shardlab
