#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/ids.h"
#include "core/time.h"
#include "sched/state_view.h"

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
  /// It holds something already: what it picks is prefetched, its copies after those of all that it
  /// picked before.
  bool buffer = false;
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
  /// the slot empty until the next event: a device that holds something then prefetches nothing,
  /// one that holds nothing waits on purpose. Depends only on earlier calls, on the view and on the
  /// seed. At most O(log tracks).
  virtual TrackId pick(const DeviceView& device) = 0;

  /// Called once, before all else. `view` outlives the policy's last call.
  virtual void begin(const StateView& view) { static_cast<void>(view); }
  /// The job was admitted, or goes on after a pause: its units will be offered.
  virtual void arrived(JobId job) { static_cast<void>(job); }
  /// All its units are done, or its tuner stopped it: no unit of it will be offered any more.
  virtual void completed(JobId job) { static_cast<void>(job); }
  /// It failed, or stays at its border as the run stops: no unit of it will be offered any more.
  virtual void lost(JobId job) { static_cast<void>(job); }

  /// The device runs nothing until it is back, if ever: what was left to it is for others.
  virtual void device_lost(DeviceId device) { static_cast<void>(device); }

  /// The job may be admitted now if there is room; else it is asked again in the next round. Asked
  /// in the order of arrival.
  virtual bool admits(JobId) { return true; }
  /// Where a job goes that stays on one device: one of the cluster's, or kNoDevice for the one with
  /// most room. Asked at admission.
  virtual DeviceId place(JobId) { return kNoDevice; }
  /// Completion lookahead: when a device chooses for its buffer, also offer the units whose
  /// predecessor, running elsewhere or here, is expected to end before this device is free.
  [[nodiscard]] virtual bool lookahead() const { return false; }
  /// Keeps the unit of `track` that it claimed ahead however late the producer is; else a free
  /// device gives it back.
  [[nodiscard]] virtual bool patient(TrackId track) const {
    static_cast<void>(track);
    return false;
  }
  /// When it wants to choose again though nothing else happens then: later than `now`, or kNever.
  /// Asked after begin(), and if that was not kNever, after every decision.
  [[nodiscard]] virtual Instant awaits(Instant now) const {
    static_cast<void>(now);
    return kNever;
  }
  /// The device keeps what a unit of the job has just changed there, until another device asks for
  /// it, its room is needed or the job ends; else it is written back at once, unless the job's next
  /// unit is claimed there.
  [[nodiscard]] virtual bool keeps(JobId job, DeviceId device) const {
    static_cast<void>(job), static_cast<void>(device);
    return false;
  }
  /// It says what a device that needs room lets go first, by worth(); else what was used longest
  /// ago goes first.
  [[nodiscard]] virtual bool evicts() const { return false; }
  /// What it is worth that `device` keeps its copy of an item that no claim needs: the least goes
  /// first, of equals what was used longest ago. Asked only if evicts().
  virtual std::int64_t worth(JobId job, ItemIndex item, DeviceId device) {
    static_cast<void>(job), static_cast<void>(item), static_cast<void>(device);
    return 0;
  }
  /// Why it cannot go on, for the error when nothing can run any more although jobs are left.
  /// Empty: it does not know.
  [[nodiscard]] virtual std::string stuck() const { return ""; }
  /// That copy went to make room.
  virtual void evicted(JobId job, ItemIndex item, DeviceId device) {
    static_cast<void>(job), static_cast<void>(item), static_cast<void>(device);
  }
};

}  // namespace shardlab
