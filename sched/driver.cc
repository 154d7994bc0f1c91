#include "sched/driver.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "core/error.h"

namespace shardlab {

Driver::Driver(const Program& program, const Cluster& cluster, Policy& policy, Backend& backend,
               Timeline* timeline, bool tracks_memory)
    : program_(program),
      cluster_(cluster),
      policy_(policy),
      backend_(backend),
      timeline_(timeline),
      ledger_(program),
      devices_(cluster.devices.size()),
      jobs_(program.jobs.size()),
      tracks_(ledger_.tracks()),
      empty_(devices_.size()),
      buffering_(devices_.size()) {
  if (tracks_memory) residency_.emplace(program, cluster);
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    by_arrival_.push_back(job_id(j));
    jobs_[j].end.arrived = program.jobs[j].arrival;
    jobs_[j].tracks_left = static_cast<std::uint32_t>(ledger_.tracks(job_id(j)));
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
  await_arrivals();
  decide();
}

void Driver::advance(std::span<const Event> events) {
  now_ = backend_.now();
  for (const Event& event : events) {
    std::visit([this](const auto& which) { take_in(which); }, event);
  }
  decide();
}

bool Driver::finished() const {
  if (running_units_ > 0 || transfers_in_flight_ > 0) return false;
  return interrupted_ || ended_jobs_ == jobs_.size();
}

Outcome Driver::outcome() {
  assert(finished());
  Outcome outcome = outcome_;
  outcome.interrupted = interrupted_;
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    const Device& device = devices_[d];
    const bool claimed = !device.claims.empty();  // Of an interrupted run.
    outcome.occupied.push_back(device.occupied +
                               (claimed ? now_ - device.occupied_since : Duration{}));
    outcome.busy.push_back(device.busy);
    outcome.recompute.push_back(device.recompute);
    outcome.peak.push_back(residency_ ? residency_->peak(device_id(d)) : Bytes{0});
  }
  if (residency_) outcome.host_peak = residency_->host_peak();
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const JobId job = job_id(j);
    outcome.jobs.push_back(jobs_[j].end);
    outcome.jobs.back().minibatches = ledger_.minibatch(job);
    if (jobs_[j].state == Job::State::kEnded) continue;
    outcome.jobs.back().at = outcome.makespan;
    outcome.jobs.back().reason = "interrupted";
  }
  if (timeline_ != nullptr) {
    timeline_->ends = outcome.jobs;
    timeline_->makespan = outcome.makespan;
    timeline_->interrupted = interrupted_;
    timeline_->peak = outcome.peak;
  }
  return outcome;
}

// Deciding.

void Driver::decide() {
  if (!interrupted_) {
    if (program_.slots > 1) give_back_late_claims();
    fill(false);
    if (program_.slots > 1) fill(true);
  }
  if (residency_) settle_done();
  clean_up();
  for (std::size_t i = 0; i < touched_.size(); ++i) {  // It may grow meanwhile.
    const std::size_t device = touched_[i];
    devices_[device].touched = false;
    progress(device);
  }
  touched_.clear();
  if (timeline_ != nullptr && residency_) sample_memory();
  if (interrupted_ && finished()) outcome_.makespan = std::max(outcome_.makespan, now_);
}

/// Admits who is there, and asks to be woken when the next one comes.
void Driver::await_arrivals() {
  const auto arrival = [&](std::size_t place) {
    return program_.jobs[index(by_arrival_[place])].arrival;
  };
  while (next_arrival_ < jobs_.size() && arrival(next_arrival_) <= now_) ++next_arrival_;
  if (next_arrival_ < jobs_.size()) backend_.wake_at(arrival(next_arrival_));
  admit_waiting();
}

void Driver::admit_waiting() {
  if (interrupted_) return;
  const auto limit = program_.admit > 0 ? static_cast<std::size_t>(program_.admit) : jobs_.size();
  for (std::size_t i = next_waiting_; i < next_arrival_ && running_jobs_ < limit; ++i) {
    const JobId job = by_arrival_[i];
    if (jobs_[index(job)].state == Job::State::kWaiting) admit(job);
    if (i == next_waiting_ && jobs_[index(job)].state != Job::State::kWaiting) ++next_waiting_;
  }
}

bool Driver::admit(JobId job) {
  const JobProgram& program = program_.jobs[index(job)];
  Job& state = jobs_[index(job)];
  if (program.resident) state.bound = home(job);
  if (residency_ && program.held) {
    std::vector<DeviceId> devices;
    if (program.resident) {
      devices.push_back(state.bound);
    } else {
      for (std::size_t d = 0; d < devices_.size(); ++d) devices.push_back(device_id(d));
    }
    if (!residency_->admit(job, devices, program.peak)) return false;
  }
  state.state = Job::State::kRunning;
  ++running_jobs_;
  running_tracks_ += ledger_.tracks(job);
  const std::size_t first = index(ledger_.first_track(job));
  for (std::size_t t = first; t < first + ledger_.tracks(job); ++t) {
    if (ledger_.unblocked(track_id(t))) offer_next(track_id(t));
  }
  return true;
}

/// Where a resident job goes: where the policy says or most room is left, which with equal devices
/// is the one with the fewest jobs.
DeviceId Driver::home(JobId job) {
  if (const DeviceId chosen = policy_.place(job); chosen != kNoDevice) return chosen;
  if (!residency_) return device_id(index(job) % devices_.size());
  std::vector<Bytes> room;
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    room.push_back(cluster_.devices[d].memory - residency_->used(device_id(d)));
  }
  return device_id(
      static_cast<std::size_t>(std::max_element(room.begin(), room.end()) - room.begin()));
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

/// A device that is free takes back what it claimed ahead when the producer is late and another
/// unit could run.
void Driver::give_back_late_claims() {
  if (candidates_ == 0 || policy_.patient()) return;
  for (const std::size_t d : touched_) {
    Device& device = devices_[d];
    const bool waits_for_producer =
        !device.claims.empty() && std::none_of(device.claims.begin(), device.claims.end(),
                                               [](const Claim& claim) { return claim.ready; });
    if (waits_for_producer) give_back(device, 0);
  }
}

void Driver::give_back(Device& device, std::size_t slot) {
  const Claim claim = device.claims[slot];
  assert(slot != device.running);
  const auto d = static_cast<std::size_t>(&device - devices_.data());
  if (residency_ && claim.reserved) {
    residency_->release(claim.job, unit(claim.job, claim.unit), device_id(d));
  }
  device.claims.erase(device.claims.begin() + static_cast<std::ptrdiff_t>(slot));
  if (device.running != kNothing && slot < device.running) --device.running;
  --tracks_[index(claim.track)].claims;
  claim_gone(d);
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
  touch(id);
}

void Driver::fill(bool buffers) {
  const IdSet& hungry = buffers ? buffering_ : empty_;
  const bool ahead = buffers && policy_.lookahead();
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

bool Driver::claim_ahead(std::size_t device) {
  offered_ahead_.clear();
  offer_ahead(device);
  const TrackId track = candidates_ > 0 ? policy_.pick({device_id(device), now_}) : kNoTrack;
  bool was_ahead = false;
  for (const TrackId other : offered_ahead_) {
    if (other == track) was_ahead = true;
    if (other != track) withdraw(other);
  }
  if (track == kNoTrack) return false;
  --candidates_;
  claim(device, track, !was_ahead);
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
  touch(id);
}

void Driver::offer_ahead(std::size_t device) {
  const auto running = [](const Device& d) {
    return d.running == kNothing ? nullptr : &d.claims[d.running];
  };
  const Claim* mine = running(devices_[device]);
  if (mine == nullptr) return;
  const auto expected_end = [&](const Claim& claim) {
    return claim.started_at + unit(claim.job, claim.unit).expected;
  };
  const Instant free_at = expected_end(*mine);
  for (const Device& other : devices_) {
    const Claim* producer = running(other);
    if (producer == nullptr || expected_end(*producer) > free_at) continue;
    const TrackId track = producer->track;
    if (tracks_[index(track)].claims > 1 || !ledger_.has_next(track)) continue;
    if (jobs_[index(producer->job)].failed || !ledger_.unblocked(track, true)) continue;
    offer(ledger_.candidate(track, true));
    offered_ahead_.push_back(track);
  }
}

void Driver::settle_done() {
  for (const Done& done : done_) {
    const Unit* next = nullptr;
    const Track& track = tracks_[index(done.track)];
    if (track.claims > 0 && track.last_claim == done.device) {
      next = &unit(done.job, ledger_.unit(done.track));
    }
    if (jobs_[index(done.job)].state == Job::State::kRunning) {
      residency_->settle(done.job, unit(done.job, done.unit), done.device, next);
    }
  }
  done_.clear();
}

void Driver::progress(std::size_t id) {
  Device& device = devices_[id];
  const DeviceId where = device_id(id);
  for (Claim& claim : device.claims) {
    if (claim.reserved || interrupted_) continue;
    if (residency_ && !residency_->reserve(claim.job, unit(claim.job, claim.unit), where)) break;
    claim.reserved = true;
    claim.reserved_at = now_;
  }
  start_requested();
  if (device.lane_busy) return;
  if (!device.lane_copies.empty()) {
    const TransferId id_of_copy = device.lane_copies.front();
    device.lane_copies.pop_front();
    device.lane_busy = true;
    backend_.start_lane_copy(transfer_of_[id_of_copy]);
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
      const Unit& next = unit(claim.job, claim.unit);
      if (!residency_->arrived(claim.job, next, where)) continue;
      residency_->begin(claim.job, next, where);
      clean_up();
    }
    device.running = static_cast<std::uint32_t>(&claim - device.claims.data());
    claim.started_at = now_;
    device.lane_busy = true;
    ++running_units_;
    ++jobs_[index(claim.job)].running;
    backend_.start_unit({claim.job, claim.unit, claim.minibatch, where, 1, loaded()});
    return;
  }
}

void Driver::touch(std::size_t device) {
  if (std::exchange(devices_[device].touched, true)) return;
  touched_.push_back(device);
}

std::string Driver::stuck() const {
  std::string text;
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    for (const Claim& claim : devices_[d].claims) {
      text += "\n  " + cluster_.devices[d].name + " holds " + program_.jobs[index(claim.job)].name +
              " unit " + std::to_string(claim.unit) + " of minibatch " +
              std::to_string(claim.minibatch) +
              (!claim.reserved ? ": no room"
               : !claim.ready  ? ": not ready"
                               : ": data missing");
    }
  }
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    if (jobs_[j].state == Job::State::kWaiting) {
      text += "\n  " + program_.jobs[j].name + " waits for admission";
    }
  }
  return text;
}

Outcome drive(Driver& driver, Backend& backend) {
  driver.start();
  while (!driver.finished()) {
    const auto events = backend.wait();
    if (events.empty()) {
      throw Error("nothing can run any more although jobs are left; please report this:" +
                  driver.stuck());
    }
    driver.advance(events);
  }
  return driver.outcome();
}

}  // namespace shardlab
