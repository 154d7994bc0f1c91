#include "sched/driver.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "core/error.h"

namespace shardlab {

Driver::Driver(const Program& program, const Cluster& cluster, Policy& policy, Backend& backend,
               Timeline* timeline, bool tracks_memory, Tuner* tuner)
    : program_(program),
      cluster_(cluster),
      policy_(policy),
      backend_(backend),
      timeline_(timeline),
      tuner_(tuner),
      ledger_(program),
      looks_ahead_(program.slots > 1 && policy.lookahead()),
      devices_(cluster.devices.size()),
      jobs_(program.jobs.size()),
      ends_(jobs_.size()),
      tracks_(ledger_.tracks()),
      empty_(devices_.size()),
      buffering_(devices_.size()),
      touched_(devices_.size()),
      late_(devices_.size()),
      policy_awaits_(policy.awaits(Instant::min()) < kNever) {
  if (tracks_memory) residency_.emplace(program, cluster, backend.keeps_items());
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    by_arrival_.push_back(job_id(j));
    ends_[j].arrived = program.jobs[j].arrival;
    jobs_[j].kept = program.jobs[j].done;
    jobs_[j].tracks_left = static_cast<std::uint32_t>(ledger_.tracks(job_id(j)));
    if (tuner_ != nullptr || program.checkpoints.minibatches > 0) set_goal(job_id(j));
  }
  std::stable_sort(by_arrival_.begin(), by_arrival_.end(), [&](JobId a, JobId b) {
    return program.jobs[index(a)].arrival < program.jobs[index(b)].arrival;
  });
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    empty_.insert(d);
    devices_[d].claims.reserve(static_cast<std::size_t>(program.slots));
  }
}

void Driver::start() {
  now_ = backend_.now();
  skip_done_jobs();
  await_arrivals();
  decide();
}

/// Flattened: the loop body of every simulation, whose calls would cost a third of its time.
[[gnu::flatten]] void Driver::advance(std::span<const Event> events) {
  now_ = backend_.now();
  for (const Event& event : events) {
    if (const auto* done = std::get_if<UnitDone>(&event)) {
      take_in(*done);
    } else if (const auto* passed = std::get_if<LinkDone>(&event)) {
      take_in(*passed);
    } else {
      std::visit([this](const auto& which) { take_in(which); }, event);
    }
  }
  decide();
}

bool Driver::finished() const {
  if (running_units_ > 0 || transfers_in_flight_ > 0) return false;
  return interrupted_ || ended_jobs_ == jobs_.size();
}

// A unit is done.

void Driver::take_in(const UnitDone& event) {
  Device& device = devices_[index(event.device)];
  assert(device.running != kNothing);
  const Claim& claim = device.claims[device.running];
  const TrackId track = claim.track;
  const JobId job = claim.job;
  const std::uint32_t which = claim.unit;
  assert(job == event.job);
  const bool leads = ledger_.leads(track);
  device.busy += event.to - event.from;
  device.recompute += event.recompute;
  ++outcome_.units;
  if (timeline_ != nullptr) {
    const Unit& ran = ledger_.current(track);
    timeline_->units.push_back({job, which, claim.minibatch, ran.kind, ran.shard, event.device,
                                event.attempt, claim.number, claim.claimed_at, claim.reserved_at,
                                claim.started_at, event.from, event.to, event.recompute,
                                ran.microbatch, ran.replica, claim.ready_at});
  }
  const Residency::Reservation reservation = claim.reservation;
  end_claim(event.device);
  if (residency_) {
    residency_->commit(reservation);
    done_.push_back({track, job, which, event.device});
  }
  advance(track, job, leads ? &ledger_.current(track) : nullptr);
}

/// A unit of the track is done: what waited only for it is ready. `leader`: it, if units of other
/// tracks wait for it, else null.
void Driver::advance(TrackId track, JobId id, const Unit* leader) {
  ledger_.advance(track);
  tracks_[index(track)].offered = false;
  Job& job = jobs_[index(id)];
  if (job.failed) {
    if (job.running == 0) end_halt(id);
    return;
  }
  if (ledger_.complete(track)) {
    if (--job.tracks_left == 0) {
      reach_goal(id);
      return;
    }
  } else if (ledger_.unblocked(track)) {
    offer_next(track);
  }
  if (leader == nullptr) return;
  for (const std::uint32_t follower : leader->before) {
    const TrackId other = ledger_.track_of(id, unit(id, follower));
    const bool waits = !tracks_[index(other)].offered && !ledger_.complete(other) &&
                       ledger_.unit(other) == follower;
    if (waits && ledger_.unblocked(other)) offer_next(other);
  }
}

/// Takes the running claim off its device.
void Driver::end_claim(DeviceId id) {
  Device& device = devices_[index(id)];
  const Claim& claim = device.claims[device.running];
  --jobs_[index(claim.job)].running;
  --tracks_[index(claim.track)].claims;
  if (device.claims.size() == 1) {
    device.claims.pop_back();
  } else {
    device.claims.erase(device.claims.begin() + device.running);
  }
  device.running = kNothing;
  device.lane_busy = false;
  --running_units_;
  claim_gone(index(id));
}

void Driver::offer_next(TrackId track) {
  Track& state = tracks_[index(track)];
  state.offered = true;
  if (state.claims == 0) {
    offer(ledger_.candidate(track));
    return;
  }
  for (Claim& claim : devices_[index(state.last_claim)].claims) {  // It was claimed ahead.
    if (claim.track != track) continue;
    claim.ready = true;
    claim.ready_at = now_;
  }
  note_late(index(state.last_claim));
  touch(index(state.last_claim));
}

// Deciding.

void Driver::decide() {
  if (tuner_ != nullptr) consult();
  if (next_waiting_ < next_arrival_ || !released_.empty()) admit_waiting();
  if (!interrupted_) {
    if (program_.slots > 1) give_back_late_claims();
    fill(false);
    if (program_.slots > 1) fill(true);
  }
  if (residency_) {
    settle_done();
    clean_up();
    start_requested();
  }
  progress();
  const bool ahead = looks_ahead_ && !interrupted_;
  while (ahead && std::exchange(started_, false)) {  // Buffers look ahead of what started.
    fill(true);
    progress();
  }
  if (policy_awaits_) await_next();
  if (timeline_ != nullptr && residency_) sample_memory();
  if (interrupted_ && finished()) outcome_.makespan = std::max(outcome_.makespan, now_);
}

/// Device by device, until nothing changes.
void Driver::progress() {
  if (touched_.empty()) return;
  std::size_t device = touched_.next(0);
  while (device != IdSet::kEnd) {
    touched_.erase(device);
    progress(device);
    const std::size_t next = touched_.next(device + 1);
    device = next != IdSet::kEnd ? next : touched_.next(0);
  }
}

void Driver::offer(Candidate&& unit) {
  Job& state = jobs_[index(unit.job)];
  if (state.bound != kNoDevice) unit.bound = state.bound;
  unit.since = now_;
  ++candidates_;
  policy_.ready(unit);
}

void Driver::withdraw(TrackId track) {
  --candidates_;
  policy_.gone(track);
}

/// Of a device whose claims just became fewer.
void Driver::claim_gone(std::size_t id) {
  Device& device = devices_[id];
  if (device.claims.empty()) {
    device.occupied += now_ - device.occupied_since;
    buffering_.erase(id);
    empty_.insert(id);
  } else {
    buffering_.insert(id);
  }
  note_late(id);
  touch(id);
}

void Driver::fill(bool buffers) {
  const IdSet& hungry = buffers ? buffering_ : empty_;
  const bool ahead = buffers && looks_ahead_;
  if (hungry.empty()) return;
  for (std::size_t d = hungry.next(0); d != IdSet::kEnd; d = hungry.next(d + 1)) {
    if (candidates_ == 0 && !ahead) return;
    do {
      if (!claim_one(d, ahead)) break;
    } while (hungry.contains(d));
  }
}

bool Driver::claim_one(std::size_t device, bool ahead) {
  if (ahead) return claim_ahead(device);
  if (candidates_ == 0) return false;
  const TrackId track = policy_.pick({device_id(device), now_});
  if (track == kNoTrack) return false;
  --candidates_;
  claim(device, track, /*ready=*/true);
  return true;
}

void Driver::claim(std::size_t id, TrackId track, bool ready) {
  Device& device = devices_[id];
  // In place, here and elsewhere on this path: copying what was just written stalls the core.
  if (device.claims.empty()) device.occupied_since = now_;
  Claim& claim = device.claims.emplace_back();
  claim.track = track;
  claim.job = ledger_.job(track);
  claim.ready = ready;
  claim.number = claims_made_++;
  claim.claimed_at = now_;
  claim.ready_at = now_;
  if (ready) {
    claim.unit = ledger_.unit(track);
    claim.minibatch = ledger_.minibatch(track);
  } else {
    const Candidate next = ledger_.candidate(track, /*ahead=*/true);
    claim.unit = next.unit;
    claim.minibatch = next.minibatch;
  }
  tracks_[index(track)].last_claim = device_id(id);
  ++tracks_[index(track)].claims;
  empty_.erase(id);
  if (device.claims.size() < static_cast<std::size_t>(program_.slots)) {
    buffering_.insert(id);
  } else {
    buffering_.erase(id);
  }
  note_late(id);
  touch(id);
}

void Driver::settle_done() {
  for (const Done& done : done_) {
    const Track& track = tracks_[index(done.track)];
    const bool here = track.claims > 0 && track.last_claim == done.device;
    if (jobs_[index(done.job)].state == Job::State::kRunning) {
      residency_->settle(done.job, done.unit, done.device,
                         here ? ledger_.unit(done.track) : Residency::kNoUnit);
    }
  }
  done_.clear();
}

void Driver::progress(std::size_t id) {
  Device& device = devices_[id];
  for (Claim& claim : device.claims) {
    if (claim.reserved || interrupted_) continue;
    if (residency_) {
      claim.reservation = residency_->reserve(claim.job, claim.unit, device_id(id));
      if (claim.reservation == Residency::kNoRoom) break;
    }
    claim.reserved = true;
    claim.reserved_at = now_;
  }
  if (residency_) start_requested();
  if (device.lane_busy) return;
  if (!device.lane_copies.empty()) {
    const TransferId id_of_copy = device.lane_copies.front();
    device.lane_copies.pop_front();
    device.lane_busy = true;
    backend_.start_lane_copy(residency_->transfer(id_of_copy));
    return;
  }
  start_claimed(id);
}

void Driver::start_claimed(std::size_t id) {
  Device& device = devices_[id];
  const DeviceId where = device_id(id);
  if (interrupted_) return;
  for (Claim& claim : device.claims) {
    if (!claim.reserved || !claim.ready) continue;
    if (residency_) {
      if (!residency_->arrived(claim.reservation)) continue;
      residency_->begin(claim.reservation);
      clean_up();
    }
    device.running = static_cast<std::uint32_t>(&claim - device.claims.data());
    claim.started_at = now_;
    device.lane_busy = true;
    started_ = true;
    ++running_units_;
    Job& job = jobs_[index(claim.job)];
    ++job.running;
    backend_.start_unit({claim.job, claim.unit, claim.minibatch, where, job.attempt, loaded()});
    return;
  }
}

}  // namespace shardlab
