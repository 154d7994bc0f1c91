#include <algorithm>
#include <cassert>
#include <utility>

#include "sched/driver.h"

/// How the Driver takes in what a backend reports.
namespace shardlab {

void Driver::take_in(const UnitDone& event) {
  const Claim claim = end_claim(event.device);
  assert(claim.job == event.job);
  Device& device = devices_[index(event.device)];
  device.busy += event.to - event.from;
  device.recompute += event.recompute;
  ++outcome_.units;
  const Unit& ran = unit(claim.job, claim.unit);
  if (timeline_ != nullptr) {
    timeline_->units.push_back({claim.job, claim.unit, claim.minibatch, ran.kind, ran.shard,
                                event.device, event.attempt, claim.number, claim.claimed_at,
                                claim.reserved_at, claim.started_at, event.from, event.to,
                                event.recompute});
  }
  if (residency_) {
    residency_->commit(claim.job, ran, event.device);
    done_.push_back({claim.job, claim.unit, event.device});
  }
  ledger_.advance(claim.job);
  if (ledger_.complete(claim.job)) {
    jobs_[index(claim.job)].end.completed = true;
    end_units_of(claim.job);
  } else {
    offer_next(claim.job);
  }
}

void Driver::take_in(const UnitFailed& event) {
  const Claim claim = end_claim(event.device);
  if (residency_) residency_->abort(claim.job, unit(claim.job, claim.unit), event.device);
  jobs_[index(claim.job)].end.reason = event.reason;
  for (std::size_t d = 0; d < devices_.size(); ++d) {  // A unit claimed ahead of the failed one.
    for (std::size_t slot = devices_[d].claims.size(); slot-- > 0;) {
      if (devices_[d].claims[slot].job == claim.job) give_back(devices_[d], slot);
    }
  }
  end_units_of(claim.job);
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
Driver::Claim Driver::end_claim(DeviceId id) {
  Device& device = devices_[index(id)];
  const auto running = std::find_if(device.claims.begin(), device.claims.end(),
                                    [](const Claim& claim) { return claim.running; });
  assert(running != device.claims.end());
  const Claim claim = *running;
  device.claims.erase(running);
  device.lane_busy = false;
  --running_units_;
  --jobs_[index(claim.job)].claims;
  claim_gone(index(id));
  return claim;
}

void Driver::offer_next(JobId job) {
  Job& state = jobs_[index(job)];
  if (state.claims == 0) {
    offer(ledger_.candidate(job));
    return;
  }
  for (Claim& claim : devices_[index(state.last_claim)].claims) {  // It was claimed ahead.
    if (claim.job == job) claim.ready = true;
  }
  touch(index(state.last_claim));
}

void Driver::end_units_of(JobId job) {
  jobs_[index(job)].state = Job::State::kFlushing;
  --running_jobs_;
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
