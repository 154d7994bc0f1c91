#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

#include "core/error.h"
#include "sched/driver.h"

/// How the Driver takes in what seldom happens: failures, copies, arrivals, ends.
namespace shardlab {

void Driver::take_in(const UnitFailed& event) {
  const Device& device = devices_[index(event.device)];
  assert(device.running != kNothing);
  const Claim claim = device.claims[device.running];
  end_claim(event.device);
  clocks_[index(event.device)].fail(now_);
  if (residency_) residency_->abort(claim.reservation);
  tracks_[index(claim.track)].offered = false;
  Job& job = jobs_[index(claim.job)];
  if (!job.failed) {
    ends_[index(claim.job)].reason = event.reason;
    backend_.stopped(claim.job, event.reason);
    fail(claim.job);
  }
  if (job.running == 0) end_halt(claim.job);
}

void Driver::fail(JobId job) {
  jobs_[index(job)].failed = true;
  take_back(job);
}

/// What is claimed or offered of a job; what runs of it comes to its end.
void Driver::take_back(JobId job) {
  for (const TrackId track : ledger_.track_ids(job)) {
    const Track& state = tracks_[index(track)];
    if (state.offered && state.claims == 0) withdraw(track);
  }
  for (Device& device : devices_) {
    for (std::size_t slot = device.claims.size(); slot-- > 0;) {
      const bool claimed = device.claims[slot].job == job && slot != device.running;
      if (claimed) give_back(device, slot);
    }
  }
}

[[gnu::flatten]] void Driver::take_in(const LinkDone& event) { pass(event); }

void Driver::take_in(const LaneCopyDone& event) {
  const Transfer& transfer = residency_->transfer(event.transfer);
  if (timeline_ != nullptr) {
    transfers_[event.transfer].lane_from = event.from;
    transfers_[event.transfer].lane_to = event.to;
  }
  devices_[index(transfer.device)].lane_busy = false;
  // What jobs leave behind counts until the last of them ends.
  const Instant end = ended_jobs_ < jobs_.size() ? kNever : outcome_.makespan;
  clocks_[index(transfer.device)].copied(std::min(event.from, end), std::min(event.to, end));
  touch(index(transfer.device));
  const bool by_link = copies_take_link(transfer.device) || transfer.steps;
  if (transfer.direction == Direction::kDemote && by_link) {
    backend_.start_link(transfer);
  } else {
    complete(event.transfer);
  }
}

void Driver::take_in(const HostStepped& event) {
  if (timeline_ != nullptr) {
    CopySpan& span = transfers_[event.transfer];
    span.link_from = event.from;
    span.link_to = event.to;
    span.step_from = event.step_from;
  }
  complete(event.transfer);
}

void Driver::take_in(const StepFailed& event) {
  const JobId job = residency_->transfer(event.transfer).job;
  if (!jobs_[index(job)].failed) stop_in_flight(job, event.reason);
  complete(event.transfer);
}

/// A job of which something that counts is on its way to the host.
void Driver::stop_in_flight(JobId id, std::string_view reason) {
  Job& job = jobs_[index(id)];
  if (job.state == Job::State::kRestoring) return;  // What goes back does not count.
  JobEnd& end = ends_[index(id)];
  if (job.state != Job::State::kFlushing || end.completed) {
    end.reason = reason;
    backend_.stopped(id, reason);
  }
  end.completed = false;
  if (job.state == Job::State::kAsking) {
    job.failed = true;
    end_units_of(id);
  } else if (job.state == Job::State::kPausing) {
    job.failed = true;
    job.state = Job::State::kFlushing;
    tell_ended(id);
  } else {
    halt(id);
  }
}

void Driver::take_in(const Woken&) {
  if (next_snapshots_ <= now_) ask_for_snapshots();
  await_arrivals();
}

void Driver::take_in(const Interrupted&) { interrupted_ = true; }

void Driver::end_units_of(JobId job) {
  jobs_[index(job)].state = Job::State::kFlushing;
  tell_ended(job);
  leave(job);
  if (residency_ && jobs_[index(job)].failed) residency_->give_up(job);
  end_job_if_flushed(job);
}

/// It gives up its place among the jobs that run at once, and is written back.
void Driver::leave(JobId job) {
  --running_jobs_;
  running_tracks_ -= ledger_.tracks(job);
  if (residency_) residency_->flush(job);
}

void Driver::end_job_if_flushed(JobId job) {
  Job& state = jobs_[index(job)];
  if (state.state != Job::State::kFlushing) return;
  if (residency_ && !residency_->flushed(job)) return;
  if (residency_) residency_->forget(job);
  state.state = Job::State::kEnded;
  JobEnd& end = ends_[index(job)];
  end.stopped_early = whole(job) && !end.completed;
  const std::int64_t minibatches = ledger_.minibatch(job);
  const bool more = minibatches > program_.jobs[index(job)].done;
  if (whole(job) && more) backend_.settled(job, minibatches);
  end.at = now_;
  outcome_.makespan = std::max(outcome_.makespan, now_);
  ++ended_jobs_;
}

Outcome Driver::outcome() {
  assert(finished());
  Outcome outcome = outcome_;
  outcome.interrupted = interrupted_ || ended_jobs_ < jobs_.size();
  outcome.promoted = moved_[0];
  outcome.demoted = moved_[1];
  outcome.between_devices = moved_[2];
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    const Device& device = devices_[d];
    const bool claimed = !device.claims.empty();  // Of an interrupted run.
    outcome.occupied.push_back(device.occupied +
                               (claimed ? now_ - device.occupied_since : Duration{}));
    outcome.busy.push_back(device.busy);
    outcome.lanes.push_back(lane_time(d));
    outcome.recompute.push_back(device.recompute);
    outcome.peak.push_back(residency_ ? residency_->peak(device_id(d)) : Bytes{0});
  }
  if (residency_) outcome.host_peak = residency_->host_peak();
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const JobId job = job_id(j);
    outcome.jobs.push_back(ends_[j]);
    outcome.jobs.back().minibatches = ledger_.minibatch(job);
    if (jobs_[j].state == Job::State::kEnded) continue;
    outcome.jobs.back().at = outcome.makespan;
    outcome.jobs.back().reason = "interrupted";
  }
  if (timeline_ != nullptr) {
    timeline_->ends = outcome.jobs;
    timeline_->makespan = outcome.makespan;
    timeline_->interrupted = outcome.interrupted;
    timeline_->peak = outcome.peak;
    // Spans tell nothing of what came to nothing, and of who was away.
    const bool failed = std::ranges::any_of(
        outcome.lanes, [](const LaneTime& lane) { return lane.lost > Duration{}; });
    if (failed || outcome.devices_lost > 0) {
      timeline_->lanes = outcome.lanes;
      timeline_->occupied = outcome.occupied;
    }
  }
  return outcome;
}

/// Jobs that a checkpoint holds whole, or at a goal.
void Driver::skip_done_jobs() {
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const JobProgram& job = program_.jobs[j];
    if (job.done > 0 && job.done == job.minibatches) {
      jobs_[j].state = Job::State::kEnded;
      ends_[j].completed = true;
      ends_[j].at = now_;
      ++ended_jobs_;
      jobs_[j].over = true;
      if (tuner_ != nullptr) tuner_->ended(job_id(j));
    } else if (tuner_ != nullptr && job.done == tuner_goal(job_id(j))) {
      ask_where_it_goes_on(job_id(j));
    }
  }
}

/// Notes who is there.
void Driver::await_arrivals() {
  const auto arrival = [&](std::size_t place) {
    return program_.jobs[index(by_arrival_[place])].arrival;
  };
  while (next_arrival_ < jobs_.size() && arrival(next_arrival_) <= now_) ++next_arrival_;
  await_next();
}

/// The next arrival, when snapshots are due, or the policy's wish to choose again.
void Driver::await_next() {
  Instant next = policy_awaits_ ? policy_.awaits(now_) : kNever;
  next = std::min(next, next_snapshots_);
  if (next_arrival_ < jobs_.size()) {
    next = std::min(next, program_.jobs[index(by_arrival_[next_arrival_])].arrival);
  }
  if (next < kNever) backend_.wake_at(next);
}

void Driver::admit_waiting() {
  if (interrupted_ || stopping_ || devices_away_ == devices_.size()) return;
  const auto limit = program_.admit > 0 ? static_cast<std::size_t>(program_.admit) : jobs_.size();
  if (!released_.empty()) admit_released(limit);
  bool after_others = true;  // One that the policy admits after a later one.
  while (std::exchange(after_others, false)) {
    bool refused = false;
    for (std::size_t i = next_waiting_; i < next_arrival_ && running_jobs_ < limit; ++i) {
      const JobId job = by_arrival_[i];
      if (jobs_[index(job)].state == Job::State::kWaiting) {
        const bool may = policy_.admits(job);
        after_others |= may && admit(job) && refused;
        refused |= !may;
      }
      if (i == next_waiting_ && jobs_[index(job)].state != Job::State::kWaiting) ++next_waiting_;
    }
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
      for (std::size_t d = 0; d < devices_.size(); ++d) {
        if (devices_[d].lost && program.peak[d] > 0) return false;  // It waits for that one.
        devices.push_back(device_id(d));
      }
    }
    if (!residency_->admit(job, devices, program.peak)) return false;
  }
  state.state = Job::State::kRunning;
  ++running_jobs_;
  running_tracks_ += ledger_.tracks(job);
  if (next_snapshots_ == kNever) arm_snapshots();
  policy_.arrived(job);
  offer_all(job);
  return true;
}

/// Of a job that begins or goes on: all that waits for nothing.
void Driver::offer_all(JobId job) {
  for (const TrackId track : ledger_.track_ids(job)) {
    if (ledger_.unblocked(track)) offer_next(track);
  }
}

/// Where a resident job goes: where the policy says or most room is left, which with equal devices
/// is the one with the fewest jobs.
DeviceId Driver::home(JobId job) {
  const DeviceId chosen = policy_.place(job);
  if (chosen != kNoDevice && timeline_ != nullptr) timeline_->placed = true;
  if (chosen != kNoDevice && !devices_[index(chosen)].lost) return chosen;
  if (!residency_) return device_id(index(job) % devices_.size());
  std::vector<Bytes> room;
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    const Bytes left = cluster_.devices[d].memory - residency_->used(device_id(d));
    room.push_back(devices_[d].lost ? -1 : left);
  }
  return device_id(
      static_cast<std::size_t>(std::max_element(room.begin(), room.end()) - room.begin()));
}

std::string Driver::stuck() const {
  if (devices_away_ == devices_.size()) {
    const std::size_t left = jobs_.size() - ended_jobs_;
    return "no device is left, and " + std::to_string(left) +
           (left == 1 ? " job has" : " jobs have") + " not ended";
  }
  const bool at_rest = running_units_ == 0 && transfers_in_flight_ == 0;
  if (std::string waits = at_rest ? policy_.stuck() : ""; !waits.empty()) return waits;
  const bool idle = std::ranges::all_of(
      devices_, [](const Device& device) { return device.claims.empty() && !device.lane_busy; });
  if (idle && candidates_ > 0) {
    return "the policy takes none of " + std::to_string(candidates_) +
           " ready units although no device does anything, and awaits nothing; see Policy::pick()";
  }
  std::string text = "nothing can run any more although jobs are left; please report this:";
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
    const Job::State state = jobs_[j].state;
    if (state == Job::State::kRestoring || state == Job::State::kRestored) {
      text += "\n  " + program_.jobs[j].name + " goes back to its last snapshot";
    } else if (state == Job::State::kWaiting || state == Job::State::kReleased) {
      text += "\n  " + program_.jobs[j].name + " waits for admission";
    } else if (state == Job::State::kFlushing || state == Job::State::kKeeping) {
      text += "\n  " + program_.jobs[j].name + " is written back";
    } else if (state == Job::State::kPaused) {
      text += "\n  " + program_.jobs[j].name + " is paused by its tuner";
    }
  }
  return text;
}

Outcome drive(Driver& driver, Backend& backend) {
  driver.start();
  while (true) {
    driver.advance_alone();
    if (driver.finished()) break;
    const auto events = backend.wait();
    if (events.empty()) throw Error(driver.stuck());
    driver.advance(events);
  }
  return driver.outcome();
}

}  // namespace shardlab
