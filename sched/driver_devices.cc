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
  policy_.device_lost(lost);
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
  if (ended_jobs_ < jobs_.size()) clocks_[index(event.device)].join(now_);
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
  const std::vector<Claim> claims(device.claims.begin(), device.claims.end());
  device.claims.clear();
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
  if (ended_jobs_ < jobs_.size()) clocks_[index(lost)].leave(now_, running != kNothing);
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
  if (comes_back(index(lost)) && !takes(to, job, lost)) return false;  // It waits.
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

bool Driver::comes_back(std::size_t device) const {
  return std::ranges::any_of(cluster_.devices[device].returns,
                             [&](Instant at) { return at > now_; });
}

/// The device has room for what the job has bound to a lost one, beside what it has there.
bool Driver::takes(DeviceId device, const JobProgram& job, DeviceId lost) const {
  const Bytes memory = cluster_.devices[index(device)].memory;
  if (job.held && !job.resident) {
    const Bytes peak = job.peak[index(device)] + job.peak[index(lost)];
    return peak <= memory - residency_->left_free(device);
  }
  return std::ranges::all_of(
      job.units, [&](const Unit& unit) { return unit.bound != lost || need(job, unit) <= memory; });
}

/// On the devices that are left, or will be back.
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
      some |= (!devices_[d].lost || comes_back(d)) && job.peak.front() <= room;
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
  ends_[index(id)].reason = kNoRoomLeft;
  backend_.stopped(id, kNoRoomLeft);
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

}  // namespace shardlab
