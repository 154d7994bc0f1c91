#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/cluster.h"
#include "core/large_array.h"
#include "core/timeline.h"
#include "sched/backend.h"
#include "sched/claim.h"
#include "sched/id_set.h"
#include "sched/lane_time.h"
#include "sched/ledger.h"
#include "sched/policy.h"
#include "sched/program.h"
#include "sched/residency.h"
#include "sched/tuner.h"

namespace shardlab {

/// What is known without a timeline, in memory independent of the number of units.
struct Outcome {
  Instant makespan{};
  std::int64_t units = 0;
  std::vector<Duration> occupied;  ///< Per device: holding a claim.
  std::vector<Duration> busy;      ///< Per device: computing, not reducing gradients.
  std::vector<LaneTime> lanes;     ///< Per device: that, and what its lane waited for.
  std::vector<Duration> recompute;
  std::vector<Bytes> peak;  ///< Per device: largest reservation.
  Bytes host_peak = 0;
  Bytes promoted = 0, demoted = 0;
  Bytes between_devices = 0;    ///< Straight from one to another.
  Bytes read = 0, written = 0;  ///< By the disk below the host's memory.
  int devices_lost = 0;         ///< How often.
  std::int64_t redone = 0;      ///< Units that began again because something was lost.
  std::vector<JobEnd> jobs;
  bool interrupted = false;
};

/// Why a job stops that needs more than the devices that are left.
inline constexpr const char* kNoRoomLeft = "the devices that are left have no room for it";

/// The scheduling loop: decides what to promote, run, keep and demote. The only one; a simulated
/// and a real run differ in the Backend alone.
///
/// All events of one instant are taken in before anything is decided. A job whose unit just ended
/// is ready again before its device chooses. Devices that have nothing choose before those that
/// fill a buffer, in the order of their ids; ties go to the lower track.
///
/// Not thread-safe: the caller holds one lock around every call.
class Driver {
 public:
  /// `timeline`, if given, gets every unit and copy. `tracks_memory` false leaves out budgets and
  /// copies: every device has all data at hand. `tuner`, if given, stops jobs early. Requires: a
  /// plan that fits (see refuse_what_cannot_fit), and all references to outlive the Driver.
  Driver(const Program& program, const Cluster& cluster, Policy& policy, Backend& backend,
         Timeline* timeline, bool tracks_memory, Tuner* tuner = nullptr);

  /// Devices may be lost: what is bound to one is bound to another in `program`, which must be the
  /// constructor's. Without that it waits for the device to come back.
  void may_lose_devices(Program& program) { changeable_ = &program; }

  /// Admits the first jobs and fills all slots.
  void start();
  /// Takes in the events of one instant, then decides.
  void advance(std::span<const Event> events);
  /// Takes in what ends next as long as each unit or copy ends alone, and decides after it. Does
  /// what advance() does with the events of wait(), in less time.
  void advance_alone();
  /// All jobs have ended, or the run was interrupted or asked to stop, and nothing runs or moves
  /// any more.
  [[nodiscard]] bool finished() const;
  /// Requires finished(). Also completes the timeline.
  Outcome outcome();
  /// Why a run cannot go on: no device is left, what the policy waits for, or which jobs and units
  /// hold it up.
  [[nodiscard]] std::string stuck() const;

 private:
  friend class DriverView;

  static constexpr std::uint32_t kNothing = UINT32_MAX;
  struct alignas(64) Device {
    Claims claims;                     ///< At most DeviceSpec::slots().
    std::uint32_t running = kNothing;  ///< Which of them, if any.
    bool lane_busy = false;
    bool lost = false;
    bool copies_by_lane = false, copies_by_link = false;
    std::array<bool, 3> link_first{};  ///< By direction: a copy begins on the link.
    Duration occupied{}, busy{}, recompute{};
    Instant occupied_since{};  ///< While there are claims; else when the last one ended.
    Duration reducing{};
    Bytes sampled = 0;  ///< Reserved, as the timeline has it.
    std::deque<TransferId> lane_copies;
  };
  struct Job {
    enum class State : std::uint8_t {
      kWaiting,
      kRunning,
      kAsking,     ///< At its goal, until the instant's end.
      kPausing,    ///< It waits for its tuner, and is written back.
      kPaused,     ///< It is in host memory.
      kReleased,   ///< It goes on once there is room.
      kKeeping,    ///< At a border, and written back there.
      kKept,       ///< The backend takes its snapshot.
      kRestoring,  ///< It goes back, and waits for what of it is under way.
      kRestored,   ///< The backend puts its snapshot back.
      kFlushing,
      kEnded
    } state = State::kWaiting;
    bool failed = false;            ///< It ends, or goes back, when nothing of it runs any more.
    bool goes_back = false;         ///< To its last snapshot.
    bool asked = false;             ///< Its tuner, at `told` minibatches, and has no verdict yet.
    bool over = false;              ///< Its tuner knows that it has ended.
    bool released = false;          ///< While kPausing.
    bool stops = false;             ///< Its tuner stopped it at `told`, to which it may go back.
    DeviceId bound = kNoDevice;     ///< Of a resident job.
    std::uint32_t tracks_left = 0;  ///< Not at their goal.
    std::uint32_t running = 0;      ///< Units.
    std::int32_t attempt = 1;       ///< See UnitRun.
    std::int64_t kept = 0;          ///< Minibatches of its last snapshot.
    std::int64_t told = 0;
  };
  struct Track {
    std::uint8_t claims = 0;
    bool offered = false;  ///< Its current unit, since all that it waits for is done.
    DeviceId last_claim = kNoDevice;
  };
  struct Done {
    TrackId track{};
    JobId job{};
    std::uint32_t unit = 0;
    DeviceId device{};
    bool dirty = false;    ///< It left something to write back; see Residency::commit().
    std::size_t span = 0;  ///< Place in Timeline::units, if there is one.
  };

  // Taking in.
  [[gnu::noinline]] void take_in(const UnitDone& event);
  void take_in_alone(const UnitDone& event);
  [[gnu::noinline]] void take_in(const UnitFailed& event);
  [[gnu::noinline]] void take_in(const LinkDone& event);
  [[gnu::noinline]] void take_in(const LaneCopyDone& event);
  [[gnu::noinline]] void take_in(const HostStepped& event);
  [[gnu::noinline]] void take_in(const StepFailed& event);
  [[gnu::noinline]] void take_in(const Woken& event);
  void take_in(const Interrupted& event);
  [[gnu::noinline]] void take_in(const StopAsked& event);
  [[gnu::noinline]] void take_in(const SnapshotTaken& event);
  [[gnu::noinline]] void take_in(const Restored& event);
  [[gnu::noinline]] void take_in(const DeviceLost& event);
  [[gnu::noinline]] void take_in(const DeviceJoined& event);
  [[gnu::noinline]] void take_in(const UnitRetried& event);
  void count(const UnitDone& event);
  void end_claim(DeviceId device);
  void take_off(std::size_t device);
  void advance(TrackId track, JobId job, const Unit* leader);
  void offer_next(TrackId track);
  [[gnu::noinline]] void fail(JobId job);
  void take_back(JobId job);
  [[gnu::noinline]] void end_units_of(JobId job);
  void leave(JobId job);
  void end_job_if_flushed(JobId job);

  // Deciding.
  /// There is nothing to decide but what the end of a copy may bring about, if its job runs.
  [[nodiscard]] bool calm() const {
    if (always_decides_ || !empty_.empty() || !buffering_.empty() || !late_.empty()) return false;
    return next_waiting_ >= next_arrival_ && released_.empty() && !interrupted_ && done_.empty();
  }
  /// Nor did one bring anything about: most end while the devices that wait for them compute.
  [[nodiscard]] bool unmoved() const { return touched_.empty() && !residency_->stirred(); }
  [[nodiscard]] bool quiet() const { return calm() && unmoved(); }
  void ask_policy();
  [[gnu::noinline]] void decide();
  /// One device holds nothing any more, no other looks for a unit, and nothing else has changed.
  [[nodiscard]] bool only_freed() const {
    return !interrupted_ && next_waiting_ >= next_arrival_ && released_.empty();
  }
  [[gnu::noinline]] void refill(const UnitDone& event);
  [[nodiscard]] bool may_turn_over(const UnitDone& event) const;
  [[gnu::noinline]] bool turn_over(const UnitDone& event);
  void skip_done_jobs();
  void ask_where_it_goes_on(JobId job);
  void await_arrivals();
  void await_next();
  [[gnu::noinline]] void admit_waiting();
  bool admit(JobId job);
  void offer_all(JobId job);
  DeviceId home(JobId job);
  void offer(Candidate&& unit);
  void withdraw(TrackId track);
  [[gnu::noinline]] void give_back_late_claims();
  [[gnu::noinline]] void give_back(Device& device, std::size_t slot);
  void claim_gone(std::size_t device);
  void fill(bool buffers);
  /// What the policy picks for the device, which is no candidate any more.
  TrackId choose(std::size_t device, bool buffer) {
    if (candidates_ == 0) return kNoTrack;
    const TrackId track = policy_.pick({device_id(device), now_, turn_, buffer});
    if (track != kNoTrack) --candidates_;
    return track;
  }
  bool claim_one(std::size_t device, bool buffer, bool ahead);
  [[gnu::noinline]] bool claim_ahead(std::size_t device);
  void claim(std::size_t device, TrackId track, bool ready);
  Claim& add_claim(std::size_t device, TrackId track, bool ready);
  void offer_ahead(std::size_t device);
  void note_late(std::size_t device);
  [[gnu::noinline]] void settle_done();
  void settle(const Done& done);
  [[gnu::noinline]] void move_on();
  void progress();
  void progress(std::size_t device);
  void start_next(std::size_t device);
  void start_claimed(std::size_t device);
  void run(std::size_t device, Claim& claim);
  void note_lane(std::size_t device);
  [[nodiscard]] LaneTime lane_time(std::size_t device) const;

  // Early stops.
  [[gnu::noinline]] void reach_goal(JobId job);
  void set_goal(JobId job);
  [[gnu::noinline]] void consult();
  [[nodiscard]] std::int64_t tuner_goal(JobId job) const;
  /// To where it asked already: it went back, or a run goes on from its checkpoint.
  static bool on_its_way(Job::State state) {
    return state == Job::State::kWaiting || state == Job::State::kRunning ||
           state == Job::State::kReleased ||
           (state >= Job::State::kKeeping && state <= Job::State::kRestored);
  }
  void tell_ended(JobId job);
  /// It ends at a border, so what of it is on its way to the host counts.
  [[nodiscard]] bool whole(JobId job) const {
    return ends_[index(job)].completed || (jobs_[index(job)].stops && !jobs_[index(job)].failed);
  }
  void offer_what_waited(JobId job);
  void go_on(JobId job);
  void stop(JobId job, std::string reason);
  void pause(JobId job);
  void end_pausing_if_flushed(JobId job);
  void admit_released(std::size_t limit);

  // Snapshots.
  [[gnu::noinline]] void arm_snapshots();
  void ask_for_snapshots();
  [[gnu::noinline]] void keep(JobId job);
  void snapshot_if_flushed(JobId job);
  void leave_border(JobId job);

  // A stop that was asked for.
  void stop_at_border(JobId job);
  void put_down(JobId job);
  void put_away(JobId job);
  [[nodiscard]] bool all_put_away() const;

  // Devices that are lost.
  void lose_claims(DeviceId lost);
  void find_last_claim(TrackId track);
  void give_back_all(TrackId track);
  void bind_elsewhere(std::vector<JobId>& back);
  bool bind_elsewhere(JobId job, DeviceId lost);
  [[nodiscard]] DeviceId stand_in(const JobProgram& job) const;
  [[nodiscard]] bool held_on(JobId job, DeviceId device) const;
  /// A lost one is known to come back.
  [[nodiscard]] bool comes_back(std::size_t device) const;
  [[nodiscard]] bool takes(DeviceId device, const JobProgram& job, DeviceId lost) const;
  [[nodiscard]] bool fits(JobId job) const;
  void stop_what_cannot_fit();
  void stop_for_want_of_room(JobId job);
  void stop_in_flight(JobId job, std::string_view reason);
  void halt(JobId job);
  void go_back(JobId job);
  [[gnu::noinline]] void end_halt(JobId job);
  [[gnu::noinline]] void settle_state(JobId job);
  void restore_if_vacated(JobId job);
  void release_restored(JobId job);
  [[gnu::noinline]] void retry_units();
  void clear(std::size_t device);

  // Transfers.
  bool pass(const LinkDone& event);
  void start_requested() {
    if (residency_->stirred()) take_requests();
  }
  [[gnu::noinline]] void take_requests();
  void start(Transfer& transfer, bool loaded);
  [[nodiscard]] CopySpan span_of(const Transfer& transfer) const;
  bool complete(TransferId id);
  void clean_up() {
    if (residency_->frees()) take_drops();
  }
  [[gnu::noinline]] void take_drops();
  /// A copy has moved, or there may be more room.
  void look_again(DeviceId id) {
    const Device& device = devices_[index(id)];
    if (device.claims.empty()) return;
    // What is reserved and computes waits for neither. Claims reserve in their order.
    if (!device.lane_busy || !device.claims.back().reserved) touch(index(id));
  }
  [[gnu::noinline]] void sample_memory();

  // What the next event will need is fetched while this one is taken in: of thousands of devices
  // and jobs it is in no cache, and each would be waited for after the other.
  [[nodiscard]] DeviceId foresee() const {
    const DeviceId next = devices_.size() < kFew ? kNoDevice : backend_.next_lane();
    if (next == kNoDevice) return next;
    __builtin_prefetch(&devices_[index(next)]);
    __builtin_prefetch(&claims_[index(next) * most_slots_]);
    return next;
  }
  void fetch_track(DeviceId next) const {
    if (next == kNoDevice) return;
    const Claim& claim = claims_[index(next) * most_slots_];
    ledger_.fetch(claim.track);
    __builtin_prefetch(&jobs_[index(claim.job)]);
    __builtin_prefetch(&tracks_[index(claim.track)]);
  }
  static constexpr std::size_t kFew = 256;  ///< Devices whose state stays in the nearest cache.

  void touch(std::size_t device) { touched_.insert(device); }
  [[nodiscard]] bool loaded() const { return running_tracks_ > 1 && several_devices_; }
  [[nodiscard]] const Unit& unit(JobId job, std::uint32_t u) const {
    return program_.jobs[index(job)].units[u];
  }
  [[nodiscard]] bool copies_take_lane(DeviceId id) const {
    return devices_[index(id)].copies_by_lane;
  }
  [[nodiscard]] bool copies_take_link(DeviceId id) const {
    return devices_[index(id)].copies_by_link;
  }

  const Program& program_;
  const Cluster& cluster_;
  Policy& policy_;
  std::unique_ptr<StateView> view_;  ///< What the policy looks at.
  Backend& backend_;
  Timeline* timeline_;
  Tuner* tuner_;
  Program* changeable_ = nullptr;
  std::size_t devices_away_ = 0;
  Ledger ledger_;
  std::optional<Residency> residency_;
  bool looks_ahead_ = false;     ///< See Policy::lookahead().
  bool always_decides_ = false;  ///< See quiet().
  bool reduces_ = false;         ///< Some unit does: most programs have none.
  bool plain_ = false;           ///< Nothing is decided but what a device that is free takes next.
  const bool several_devices_;
  const std::size_t most_slots_;  ///< Of any device.
  LargeArray<Claim> claims_;      ///< Room for those of each device, device by device.
  LargeArray<Device> devices_;
  std::vector<LaneClock> clocks_;  ///< Per device; not kept where `plain_`.
  LargeArray<Job> jobs_;
  std::vector<JobEnd> ends_;  ///< Per job, apart from what is looked at for every unit.
  LargeArray<Track> tracks_;
  IdSet empty_;           ///< Devices that hold no claim.
  IdSet buffering_;       ///< Devices with a claim and a free slot.
  IdSet touched_;         ///< Devices to look at again in this round.
  IdSet late_;            ///< Devices that hold claims, none of them ready.
  bool started_ = false;  ///< A unit, in this round.
  std::vector<Done> done_;
  std::vector<TrackId> offered_ahead_;  ///< While a device chooses.
  std::vector<CopySpan> transfers_;     ///< By TransferId; empty without a timeline.
  std::size_t transfers_in_flight_ = 0;
  std::array<Bytes, 3> moved_{};  ///< By direction.
  std::size_t candidates_ = 0;
  std::int64_t claims_made_ = 0;
  Turn turn_{};
  std::size_t running_units_ = 0;
  std::size_t running_jobs_ = 0, running_tracks_ = 0;
  std::size_t ended_jobs_ = 0;
  std::vector<JobId> asking_;                          ///< At this instant.
  std::vector<JobId> released_;                        ///< In that order.
  std::vector<std::pair<TrackId, DeviceId>> retries_;  ///< Once nothing leaves the device.
  std::vector<JobId> by_arrival_;
  std::size_t next_waiting_ = 0;  ///< Place in by_arrival_: all before it were admitted.
  std::size_t next_arrival_ = 0;  ///< Place in by_arrival_: all before it have arrived.
  Instant next_snapshots_ = kNever;
  Outcome outcome_;
  Instant now_{};
  bool interrupted_ = false;
  bool stopping_ = false;       ///< Every job ends at its next border.
  bool policy_awaits_ = false;  ///< See Policy::awaits().
};

/// Runs to the end with a backend whose wait() blocks or moves the clock.
/// Throws Error when the run cannot go on although jobs are left.
Outcome drive(Driver& driver, Backend& backend);

}  // namespace shardlab
