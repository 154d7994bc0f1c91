#include <algorithm>
#include <utility>

#include "sched/driver.h"

/// How a job goes back to its last snapshot, and how a unit that found no memory is tried again.
namespace shardlab {

/// To its last snapshot, once nothing of it runs any more.
void Driver::go_back(JobId id) {
  Job& job = jobs_[index(id)];
  switch (job.state) {
    case Job::State::kRunning:
    case Job::State::kAsking:
    case Job::State::kKeeping:
      if (job.failed) return;
      fail(id);
      job.goes_back = true;
      if (job.running == 0) end_halt(id);
      return;
    case Job::State::kKept:  // Nothing of it runs; the backend takes its snapshot first.
      if (job.failed) return;
      fail(id);
      job.goes_back = true;
      return;
    case Job::State::kFlushing:
      if (!whole(id)) return;
      ends_[index(id)].completed = false;
      job.state = Job::State::kRestoring;
      return;
    case Job::State::kPausing:
      job.released = false;
      job.state = Job::State::kRestoring;
      return;
    default:
      return;  // Nothing of it is on a device.
  }
}

/// Of a job whose last unit came to its end after fail().
void Driver::end_halt(JobId id) {
  Job& job = jobs_[index(id)];
  if (!job.goes_back) {
    end_units_of(id);
    return;
  }
  --running_jobs_;
  running_tracks_ -= ledger_.tracks(id);
  job.state = Job::State::kRestoring;
  settle_state(id);
}

/// Something of the job is lost or has arrived: whether it has now what its state waits for.
void Driver::settle_state(JobId id) {
  Job& job = jobs_[index(id)];
  if (job.state == Job::State::kRunning) {
    if (job.failed && job.running == 0) end_halt(id);
  } else if (job.state == Job::State::kFlushing) {
    if (residency_ && !whole(id)) residency_->give_up(id);
    end_job_if_flushed(id);
  } else if (job.state == Job::State::kPausing) {
    end_pausing_if_flushed(id);
  } else if (job.state == Job::State::kKeeping) {
    snapshot_if_flushed(id);
  } else if (job.state == Job::State::kRestoring) {
    restore_if_vacated(id);
  }
}

void Driver::restore_if_vacated(JobId id) {
  Job& job = jobs_[index(id)];
  if (job.state != Job::State::kRestoring || (residency_ && !residency_->vacate(id))) return;
  for (const TrackId track : ledger_.track_ids(id)) {
    const std::int64_t units = ledger_.restart(track, job.kept);
    outcome_.redone += units;
    tracks_[index(track)].offered = false;
  }
  if (residency_) residency_->restore(id);
  ++job.attempt;
  job.bound = kNoDevice;
  job.state = Job::State::kRestored;
  if (backend_.restore(id, job.kept)) release_restored(id);
}

void Driver::take_in(const Restored& event) { release_restored(event.job); }

void Driver::release_restored(JobId id) {
  Job& job = jobs_[index(id)];
  if (job.failed && !job.goes_back) {  // It was stopped meanwhile.
    job.state = Job::State::kFlushing;
    tell_ended(id);
    end_job_if_flushed(id);
    return;
  }
  job.failed = job.goes_back = false;
  set_goal(id);
  job.state = Job::State::kReleased;
  released_.push_back(id);
  if (stopping_) policy_.lost(id);
}

/// The unit is tried again alone, once all has left the device that can: nothing else is claimed
/// there until it has ended. Where what it needs is spoilt, its job goes back.
void Driver::take_in(const UnitRetried& event) {
  const Device& device = devices_[index(event.device)];
  const Claim claim = device.claims[device.running];
  end_claim(event.device);
  clocks_[index(event.device)].fail(now_);
  residency_->abort(claim.reservation);
  Job& job = jobs_[index(claim.job)];
  ++job.attempt;
  ++outcome_.redone;
  tracks_[index(claim.track)].offered = false;
  give_back_all(claim.track);  // First, as what they hold must go too.
  residency_->evict(event.device);
  if (job.failed) {
    if (job.running == 0) end_halt(claim.job);
  } else if (event.spoilt) {
    go_back(claim.job);
  } else {
    clear(index(event.device));
    retries_.emplace_back(claim.track, event.device);
    retry_units();
  }
}

/// Of claims, all of them ready for others to take; it makes none until it is let.
void Driver::clear(std::size_t id) {
  Device& device = devices_[id];
  while (!device.claims.empty()) {
    const Claim claim = device.claims.back();
    give_back(device, device.claims.size() - 1);
    if (!claim.ready) {
      find_last_claim(claim.track);
      continue;
    }
    give_back_all(claim.track);
    if (!jobs_[index(claim.job)].failed) offer(ledger_.candidate(claim.track));
  }
  empty_.erase(id);
  buffering_.erase(id);
}

void Driver::retry_units() {
  std::erase_if(retries_, [this](const auto& retry) {
    const auto& [track, id] = retry;
    const Device& device = devices_[index(id)];
    const Job& job = jobs_[index(ledger_.job(track))];
    Track& state = tracks_[index(track)];
    const bool waits = job.state == Job::State::kRunning && !job.failed && !state.offered;
    if (device.lost) {
      if (waits) offer_next(track);
      return true;
    }
    if (!waits) {
      empty_.insert(index(id));
      return true;
    }
    residency_->evict(id);
    const bool moves = residency_->in_flight(id, Direction::kPromote).transfers > 0;
    if (moves || residency_->leaving(id)) return false;
    state.offered = true;
    claim(index(id), track, /*ready=*/true);
    buffering_.erase(index(id));
    return true;
  });
}

}  // namespace shardlab
