#include <algorithm>
#include <cassert>
#include <utility>

#include "sched/driver.h"

/// How the Driver takes in what a backend reports.
namespace shardlab {

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
  end_claim(event.device);
  if (residency_) {
    residency_->commit(job, ledger_.current(track), event.device);
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
    if (job.running == 0) end_units_of(id);
    return;
  }
  if (ledger_.complete(track)) {
    if (--job.tracks_left == 0) {
      job.end.completed = true;
      end_units_of(id);
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

void Driver::take_in(const UnitFailed& event) {
  const Device& device = devices_[index(event.device)];
  assert(device.running != kNothing);
  const Claim claim = device.claims[device.running];
  end_claim(event.device);
  if (residency_) residency_->abort(claim.job, unit(claim.job, claim.unit), event.device);
  tracks_[index(claim.track)].offered = false;
  Job& job = jobs_[index(claim.job)];
  if (!job.failed) job.end.reason = event.reason;
  if (!job.failed) fail(claim.job);
  if (job.running == 0) end_units_of(claim.job);
}

/// Takes back what is claimed or offered of a job; what runs of it comes to its end.
void Driver::fail(JobId job) {
  jobs_[index(job)].failed = true;
  const std::size_t first = index(ledger_.first_track(job));
  for (std::size_t t = first; t < first + ledger_.tracks(job); ++t) {
    if (tracks_[t].offered && tracks_[t].claims == 0) withdraw(track_id(t));
  }
  for (Device& device : devices_) {
    for (std::size_t slot = device.claims.size(); slot-- > 0;) {
      const bool claimed = device.claims[slot].job == job && slot != device.running;
      if (claimed) give_back(device, slot);
    }
  }
}

void Driver::take_in(const LinkDone& event) {
  const Transfer& transfer = transfer_of_[event.transfer];
  transfers_[event.transfer].link_from = event.from;
  transfers_[event.transfer].link_to = event.to;
  if (transfer.direction == Direction::kPromote && copies_take_lane(transfer.device)) {
    devices_[index(transfer.device)].lane_copies.push_back(event.transfer);
    touch(index(transfer.device));
  } else {
    complete(event.transfer);
  }
}

void Driver::take_in(const LaneCopyDone& event) {
  const Transfer& transfer = transfer_of_[event.transfer];
  transfers_[event.transfer].lane_from = event.from;
  transfers_[event.transfer].lane_to = event.to;
  devices_[index(transfer.device)].lane_busy = false;
  touch(index(transfer.device));
  if (transfer.direction == Direction::kDemote && copies_take_link(transfer.device)) {
    backend_.start_link(transfer);
  } else {
    complete(event.transfer);
  }
}

void Driver::take_in(const Woken&) { await_arrivals(); }

void Driver::take_in(const Interrupted&) { interrupted_ = true; }

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
  touch(index(state.last_claim));
}

void Driver::end_units_of(JobId job) {
  jobs_[index(job)].state = Job::State::kFlushing;
  --running_jobs_;
  running_tracks_ -= ledger_.tracks(job);
  if (residency_) residency_->flush(job);
  end_job_if_flushed(job);
  admit_waiting();
}

void Driver::end_job_if_flushed(JobId job) {
  Job& state = jobs_[index(job)];
  if (state.state != Job::State::kFlushing) return;
  if (residency_ && !residency_->flushed(job)) return;
  if (residency_) residency_->forget(job);
  state.state = Job::State::kEnded;
  state.end.at = now_;
  outcome_.makespan = std::max(outcome_.makespan, now_);
  ++ended_jobs_;
  admit_waiting();  // What it held may be room enough for the next.
}

}  // namespace shardlab
