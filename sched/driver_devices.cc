#include <algorithm>
#include <utility>

#include "sched/driver.h"

/// What the Driver does when a device is lost, and when one joins. Units that ran there run again
/// elsewhere. A job of which the newest version of something was only there goes back to its last
/// snapshot, or to its beginning, and runs to the same result; what was bound there is bound to
/// another device. A job that needs more than what is left stops alone.
namespace shardlab {

void Driver::take_in(const DeviceLost& event) {
  const DeviceId lost = event.device;
  Device& device = devices_[index(lost)];
  if (std::exchange(device.lost, true)) return;
  ++outcome_.devices_lost;
  ++devices_away_;
  std::vector<JobId> back;  // Jobs that go back.
  lose_claims(lost);
  if (residency_) {
    const Residency::Loss loss = residency_->lose(lost);
    back = loss.jobs;
    transfers_in_flight_ -= loss.transfers;
  }
  empty_.erase(index(lost));
  buffering_.erase(index(lost));
  late_.erase(index(lost));
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    if (held_on(job_id(j), lost)) back.push_back(job_id(j));
  }
  bind_elsewhere(back);
  for (const JobId job : back) go_back(job);
  stop_what_cannot_fit();
  for (std::size_t j = 0; j < jobs_.size(); ++j) settle_state(job_id(j));
  retry_units();
}

void Driver::take_in(const DeviceJoined& event) {
  Device& device = devices_[index(event.device)];
  if (!std::exchange(device.lost, false)) return;
  --devices_away_;
  empty_.insert(index(event.device));
  std::vector<JobId> back;
  bind_elsewhere(back);
  for (const JobId job : back) go_back(job);
  stop_what_cannot_fit();
  for (std::size_t j = 0; j < jobs_.size(); ++j) settle_state(job_id(j));
}

/// Of an admitted job, memory that was set aside there.
bool Driver::held_on(JobId job, DeviceId device) const {
  const Job& state = jobs_[index(job)];
  const bool admitted = state.state == Job::State::kRunning ||
                        state.state == Job::State::kKeeping || state.state == Job::State::kKept;
  const JobProgram& program = program_.jobs[index(job)];
  if (!admitted || !program.held) return false;
  return program.resident ? state.bound == device : program.peak[index(device)] > 0;
}

/// The current unit of a track is a candidate again; what was claimed ahead of it is given back.
void Driver::lose_claims(DeviceId lost) {
  Device& device = devices_[index(lost)];
  if (!device.claims.empty()) device.occupied += now_ - device.occupied_since;
  const std::vector<Claim> claims = std::exchange(device.claims, {});
  const std::uint32_t running = std::exchange(device.running, kNothing);
  for (std::size_t slot = 0; slot < claims.size(); ++slot) {
    const Claim& claim = claims[slot];
    Job& job = jobs_[index(claim.job)];
    --tracks_[index(claim.track)].claims;
    if (slot == running) {
      --job.running;
      --running_units_;
      ++job.attempt;
      ++outcome_.redone;
    }
    if (residency_ && claim.reserved) residency_->interrupt(claim.reservation, slot == running);
    if (!claim.ready) {
      find_last_claim(claim.track);
      continue;
    }
    give_back_all(claim.track);
    if (!job.failed) offer(ledger_.candidate(claim.track));
  }
  device.lane_busy = false;
  device.lane_copies.clear();
}

/// Of a track whose latest claim is gone: where the one before it is, if any.
void Driver::find_last_claim(TrackId track) {
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    for (const Claim& claim : devices_[d].claims) {
      if (claim.track == track) tracks_[index(track)].last_claim = device_id(d);
    }
  }
}

/// Claims of a track that do not run.
void Driver::give_back_all(TrackId track) {
  for (Device& device : devices_) {
    for (std::size_t slot = device.claims.size(); slot-- > 0;) {
      if (device.claims[slot].track == track && slot != device.running) give_back(device, slot);
    }
  }
}

/// Rewrites what is bound to a lost device.
void Driver::bind_elsewhere(std::vector<JobId>& back) {
  if (changeable_ == nullptr) return;
  const bool peers = cluster_.network || std::ranges::any_of(cluster_.devices, [](auto& device) {
                       return device.peer.has_value();
                     });
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    if (jobs_[j].state == Job::State::kEnded) continue;
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      const bool moved = devices_[d].lost && bind_elsewhere(job_id(j), device_id(d));
      if (moved && peers) back.push_back(job_id(j));  // What lies on a third may not get there.
    }
  }
  if (!residency_) return;
  for (const DeviceId overfull : residency_->set_headroom()) {
    for (std::size_t j = 0; j < jobs_.size(); ++j) {
      if (held_on(job_id(j), overfull)) back.push_back(job_id(j));
    }
  }
}

bool Driver::bind_elsewhere(JobId id, DeviceId lost) {
  JobProgram& job = changeable_->jobs[index(id)];
  const bool bound =
      std::ranges::any_of(job.units, [&](const Unit& unit) { return unit.bound == lost; });
  const DeviceId to = bound ? stand_in(job) : kNoDevice;
  if (to == kNoDevice) return false;  // Nothing bound there, or nobody there; then whoever joins.
  for (Unit& unit : job.units) {
    if (unit.bound == lost) unit.bound = to;
  }
  for (Item& item : job.items) {
    if (item.only_reader == lost) item.only_reader = to;
  }
  if (job.held && !job.resident) {
    job.peak[index(to)] += std::exchange(job.peak[index(lost)], 0);
  }
  ledger_.rebind(id);
  for (const TrackId track : ledger_.track_ids(id)) {
    const Track& state = tracks_[index(track)];
    if (jobs_[index(id)].failed || !state.offered || state.claims > 0) continue;
    withdraw(track);
    offer(ledger_.candidate(track));
  }
  return true;
}

/// The device with most room beside what the job has there; ties go to the lower id.
DeviceId Driver::stand_in(const JobProgram& job) const {
  DeviceId best = kNoDevice;
  Bytes most = 0;
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    if (devices_[d].lost) continue;
    const Bytes there = job.held && !job.resident ? job.peak[d] : 0;
    const Bytes room = cluster_.devices[d].memory - there;
    if (best != kNoDevice && room <= most) continue;
    best = device_id(d);
    most = room;
  }
  return best;
}

/// On the devices that are left.
bool Driver::fits(JobId id) const {
  const JobProgram& job = program_.jobs[index(id)];
  if (!job.held) {
    return std::ranges::all_of(job.units, [&](const Unit& unit) {
      return unit.bound == kNoDevice || devices_[index(unit.bound)].lost ||
             need(job, unit) <= cluster_.devices[index(unit.bound)].memory;
    });
  }
  bool some = false, all = true;
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    const Bytes room = cluster_.devices[d].memory - residency_->left_free(device_id(d));
    if (job.resident) {
      some |= !devices_[d].lost && job.peak.front() <= room;
    } else {
      all &= job.peak[d] <= room;
    }
  }
  return job.resident ? some : all;
}

/// While no device is left, whoever joins may have the room.
void Driver::stop_what_cannot_fit() {
  if (!residency_ || devices_away_ == devices_.size()) return;
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const JobId id = job_id(j);
    Job& job = jobs_[j];
    const bool over = job.state == Job::State::kEnded || job.state == Job::State::kFlushing ||
                      job.state == Job::State::kPausing;
    if (over || (job.failed && !job.goes_back) || fits(id)) continue;
    stop_for_want_of_room(id);
  }
}

void Driver::stop_for_want_of_room(JobId id) {
  ends_[index(id)].reason = "the devices that are left have no room for it";
  if (jobs_[index(id)].state == Job::State::kAsking) {
    end_units_of(id);
  } else {
    halt(id);
  }
}

/// A job that has not ended, and is neither written back nor asking, ends wherever it stands.
void Driver::halt(JobId id) {
  Job& job = jobs_[index(id)];
  const bool admitted = job.state == Job::State::kRunning || job.state == Job::State::kKeeping;
  if ((admitted || job.state == Job::State::kKept) && !job.failed) fail(id);
  job.failed = true;
  job.goes_back = false;
  if (admitted && job.running == 0) end_halt(id);
  if (job.state != Job::State::kWaiting && job.state != Job::State::kReleased &&
      job.state != Job::State::kPaused) {
    return;
  }
  std::erase(released_, id);
  job.state = Job::State::kFlushing;  // Nothing of it is on a device.
  tell_ended(id);
  end_job_if_flushed(id);
}

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
      if (!ends_[index(id)].completed) return;
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
    if (residency_ && !ends_[index(id)].completed) residency_->give_up(id);
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
}

/// The unit is tried again once all has left the device that can. One that used up a kept graph, or
/// may have added to a sum, cannot be: its job goes back.
void Driver::take_in(const UnitRetried& event) {
  const Device& device = devices_[index(event.device)];
  const Claim claim = device.claims[device.running];
  const Unit& tried = unit(claim.job, claim.unit);
  end_claim(event.device);
  residency_->abort(claim.reservation);
  Job& job = jobs_[index(claim.job)];
  ++job.attempt;
  ++outcome_.redone;
  tracks_[index(claim.track)].offered = false;
  give_back_all(claim.track);  // First, as what they hold must go too.
  residency_->evict(event.device);
  const auto& items = program_.jobs[index(claim.job)].items;
  const bool used_up = std::ranges::any_of(tried.reads, [&](ItemIndex i) {
    return items[i].kind == ItemKind::kGraph || items[i].kind == ItemKind::kWeightGradient;
  });
  if (job.failed) {
    if (job.running == 0) end_halt(claim.job);
  } else if (used_up) {
    go_back(claim.job);
  } else {
    retries_.emplace_back(claim.track, event.device);
    retry_units();
  }
}

void Driver::retry_units() {
  std::erase_if(retries_, [this](const auto& retry) {
    const auto& [track, device] = retry;
    if (residency_->leaving(device)) return false;
    const Job& job = jobs_[index(ledger_.job(track))];
    const bool waits = job.state == Job::State::kRunning && !job.failed;
    if (waits && !tracks_[index(track)].offered) offer_next(track);
    return true;
  });
}

}  // namespace shardlab
