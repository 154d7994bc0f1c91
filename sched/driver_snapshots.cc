#include <algorithm>

#include "sched/driver.h"

/// How the Driver has jobs kept at borders of their minibatches. When a snapshot is due, the job
/// runs to its next border and not further, as to a tuner's goal; there it is written back, kept
/// by the backend, and goes on. Other jobs go on meanwhile.
namespace shardlab {

void Driver::arm_snapshots() {
  const Duration every = program_.checkpoints.every;
  if (every == Duration{}) return;
  next_snapshots_ = now_ + every;
  await_arrivals();
}

/// So much time has passed: every job that runs stops at its next border, unless it ends there.
void Driver::ask_for_snapshots() {
  next_snapshots_ = kNever;
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const JobId job = job_id(j);
    if (jobs_[j].state != Job::State::kRunning || jobs_[j].failed) continue;
    const std::int64_t border = ledger_.next_border(job);
    if (border >= ledger_.goal(job)) continue;
    ledger_.stop_at(job, border);
    jobs_[j].tracks_left = static_cast<std::uint32_t>(ledger_.tracks(job));
  }
  // Else it is armed again when something goes on: a run that is stuck must come to rest.
  if (running_units_ > 0 || transfers_in_flight_ > 0) {
    next_snapshots_ = now_ + program_.checkpoints.every;
  }
}

void Driver::keep(JobId job) {
  jobs_[index(job)].state = Job::State::kKeeping;
  if (residency_) residency_->flush(job);
  snapshot_if_flushed(job);
}

void Driver::snapshot_if_flushed(JobId job) {
  Job& state = jobs_[index(job)];
  if (state.state != Job::State::kKeeping || (residency_ && !residency_->flushed(job))) return;
  if (stopping_) return put_down(job);
  state.state = Job::State::kKept;
  if (!backend_.snapshot(job, ledger_.minibatch(job))) return;
  state.kept = ledger_.minibatch(job);
  leave_border(job);
}

void Driver::take_in(const SnapshotTaken& event) {
  Job& job = jobs_[index(event.job)];
  if (job.state != Job::State::kKept) return;
  if (!event.skipped) job.kept = ledger_.minibatch(event.job);
  if (job.failed) {
    end_halt(event.job);
  } else {
    leave_border(event.job);
  }
}

void Driver::leave_border(JobId job) {
  if (stopping_) return put_down(job);
  set_goal(job);
  jobs_[index(job)].state = Job::State::kRunning;
  if (next_snapshots_ == kNever) arm_snapshots();
  offer_all(job);
}

/// All that is at a border is put away; what runs comes to its next one. Whoever waits for units of
/// the others is told that there will be none.
void Driver::take_in(const StopAsked&) {
  stopping_ = true;
  next_snapshots_ = kNever;
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const Job::State state = jobs_[j].state;
    if (state == Job::State::kRunning && !jobs_[j].failed) stop_at_border(job_id(j));
    const bool away = state == Job::State::kPaused || state == Job::State::kReleased;
    if (away) put_away(job_id(j));
    if (away || state == Job::State::kWaiting) policy_.lost(job_id(j));
  }
}

/// At once where nothing of the minibatch has begun.
void Driver::stop_at_border(JobId job) {
  const auto begun = [&](TrackId track) {
    return ledger_.minibatch(track) > ledger_.minibatch(job) || ledger_.begun(track);
  };
  if (jobs_[index(job)].running == 0 && std::ranges::none_of(ledger_.track_ids(job), begun)) {
    put_down(job);
    return;
  }
  const std::int64_t border = ledger_.next_border(job);
  if (border >= ledger_.goal(job)) return;
  ledger_.stop_at(job, border);
  jobs_[index(job)].tracks_left = static_cast<std::uint32_t>(ledger_.tracks(job));
}

/// At a border, from where it does not go on.
void Driver::put_down(JobId job) {
  take_back(job);
  for (const TrackId track : ledger_.track_ids(job)) tracks_[index(track)].offered = false;
  policy_.lost(job);
  pause(job);
}

/// A job that is in host memory; what it was kept with needs no further copy.
void Driver::put_away(JobId job) {
  const std::int64_t minibatches = ledger_.minibatch(job);
  if (minibatches > std::exchange(jobs_[index(job)].kept, minibatches)) {
    backend_.settled(job, minibatches);
  }
}

bool Driver::all_put_away() const {
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const Job::State state = jobs_[j].state;
    const bool away = state == Job::State::kWaiting || state == Job::State::kPaused ||
                      state == Job::State::kReleased || state == Job::State::kEnded;
    if (!away) return false;
  }
  return true;
}

}  // namespace shardlab
