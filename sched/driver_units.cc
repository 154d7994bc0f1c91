#include <algorithm>
#include <cassert>
#include <utility>

#include "sched/driver.h"

/// How the Driver takes in that a unit is done, and offers what comes next.
namespace shardlab {

[[gnu::flatten]] void Driver::advance_alone() {
  // Most copies end while the devices that wait for them compute: between two instants at which
  // something is decided, only what the end of a copy may change is looked at after each.
  bool calm = this->calm();
  for (Lone event = backend_.next_alone(); event.unit != nullptr || event.copy != nullptr;
       event = backend_.next_alone()) {
    const Instant now = event.copy != nullptr ? event.copy->to : event.unit->to;
    turn_ = {now == std::exchange(now_, now) ? turn_.round + 1 : 0, 0};
    if (event.copy != nullptr) {
      const bool runs = pass(*event.copy);
      if (calm && runs) {
        if (!unmoved()) move_on();
        continue;
      }
      if (!quiet()) decide();
    } else if (calm && may_turn_over(*event.unit)) {
      if (turn_over(*event.unit)) continue;
    } else {
      take_in_alone(*event.unit);
    }
    calm = this->calm();
  }
}

/// One unit ends, and its track goes on with the next one. Requires: calm().
bool Driver::may_turn_over(const UnitDone& event) const {
  if (!touched_.empty() || stopping_ || most_slots_ == 1) return false;
  const Device& device = devices_[index(event.device)];
  const Job& job = jobs_[index(event.job)];
  if (device.claims.size() == 1 || job.failed || job.state != Job::State::kRunning) return false;
  const TrackId track = device.claims[device.running].track;
  return !ledger_.leads(track) && ledger_.has_next(track);
}

/// What take_in() and decide() come to where one unit ends alone and every other device has all
/// that it can claim: this one takes one more, and goes on with what it has. Returns whether it is
/// calm() again.
[[gnu::flatten]] bool Driver::turn_over(const UnitDone& event) {
  const std::size_t id = index(event.device);
  Device& device = devices_[id];
  const Claim& ended = device.claims[device.running];
  Done done{ended.track, ended.job, ended.unit, event.device};
  const Residency::Reservation reservation = ended.reservation;
  count(event);
  take_off(id);
  done.dirty = residency_->commit(reservation);
  advance(done.track, done.job, /*leader=*/nullptr);
  if (std::ranges::none_of(device.claims, &Claim::ready)) {
    claim_gone(id);
    done_.push_back(done);
    decide();
    return false;
  }
  ++turn_.pass;
  const TrackId next = choose(id, /*buffer=*/true);
  if (next == kNoTrack) {
    claim_gone(id);
    settle(done);
    move_on();
    return false;
  }
  add_claim(id, next, /*ready=*/true);
  residency_->foresee(ledger_.job(next), ledger_.unit(next));
  settle(done);
  clean_up();
  start_requested();
  touched_.empty() ? progress(id) : touch(id);  // Of several each in its turn.
  progress();
  started_ = false;
  return true;
}

void Driver::take_in_alone(const UnitDone& event) {
  const DeviceId next = foresee();
  if (plain_ && empty_.empty() && touched_.empty()) {
    refill(event);
  } else {
    take_in(event);
    if (!quiet()) decide();
  }
  fetch_track(next);
}

/// What take_in(), decide() and progress() come to where nothing but computing takes time, one unit
/// ends alone and every other device computes: this one takes the next, and no set of devices
/// changes. The path of nearly every unit there.
[[gnu::flatten]] void Driver::refill(const UnitDone& event) {
  const std::size_t id = index(event.device);
  const Claim& ended = devices_[id].claims.front();
  const TrackId track = ended.track;
  const JobId job = ended.job;
  const Unit* leader = ledger_.leads(track) ? &ledger_.current(track) : nullptr;
  count(event);
  take_off(id);
  advance(track, job, leader);
  const bool only_this = only_freed();
  const TrackId next = only_this ? choose(id, /*buffer=*/false) : kNoTrack;
  if (next == kNoTrack) {
    claim_gone(id);
    if (only_this) {
      touched_.erase(id);
    } else {
      decide();
    }
    return;
  }
  Claim& claim = add_claim(id, next, /*ready=*/true);
  claim.reserved = true;
  claim.reserved_at = now_;
  run(id, claim);
}

/// Flattened, here and elsewhere on the path of every unit, where calls would cost a third of the
/// time; in few functions, as the registers do not suffice for one.
[[gnu::flatten]] void Driver::take_in(const UnitDone& event) {
  Device& device = devices_[index(event.device)];
  assert(device.running != kNothing);
  const Claim& claim = device.claims[device.running];
  const TrackId track = claim.track;
  const JobId job = claim.job;
  const std::uint32_t which = claim.unit;
  assert(job == event.job);
  const bool leads = ledger_.leads(track);
  count(event);
  const Residency::Reservation reservation = claim.reservation;
  end_claim(event.device);
  if (residency_) {
    const bool dirty = residency_->commit(reservation);
    done_.push_back({track, job, which, event.device, dirty,
                     timeline_ == nullptr ? 0 : timeline_->units.size() - 1});
  }
  advance(track, job, leads ? &ledger_.current(track) : nullptr);
}

/// Before its claim is taken off.
void Driver::count(const UnitDone& event) {
  Device& device = devices_[index(event.device)];
  const Claim& claim = device.claims[device.running];
  const bool reduces = reduces_ && unit(claim.job, claim.unit).kind == UnitKind::kReduce;
  (reduces ? device.reducing : device.busy) += event.to - event.from;
  if (!plain_) {
    LaneClock& clock = clocks_[index(event.device)];
    reduces ? clock.reduced(event.from, event.to) : clock.computed(event.from, event.to);
  }
  device.recompute += event.recompute;
  ++outcome_.units;
  if (timeline_ == nullptr) return;
  const Unit& ran = ledger_.current(claim.track);
  timeline_->units.push_back(
      {claim.job, claim.unit, claim.minibatch, ran.kind, ran.shard, event.device, event.attempt,
       claim.number, claim.claimed_at, claim.reserved_at, claim.started_at, event.from, event.to,
       event.recompute, ran.microbatch, ran.replica, claim.ahead, claim.turn, claim.ready_at});
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
  take_off(index(id));
  claim_gone(index(id));
}

void Driver::take_off(std::size_t id) {
  Device& device = devices_[id];
  const Claim& claim = device.claims[device.running];
  --jobs_[index(claim.job)].running;
  --tracks_[index(claim.track)].claims;
  device.claims.erase(device.running);
  device.running = kNothing;
  device.lane_busy = false;
  --running_units_;
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

}  // namespace shardlab
