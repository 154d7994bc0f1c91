#include <algorithm>
#include <utility>

#include "sched/driver.h"

/// How the Driver has a tuner stop jobs early. A job that waits for its verdict is written back and
/// holds neither memory of devices nor its place among the jobs that run at once: so whatever it
/// waits for can run.
namespace shardlab {

/// It has as many minibatches as it was to complete for now.
void Driver::reach_goal(JobId job) {
  const std::int64_t minibatches = ledger_.minibatch(job);
  if (minibatches == program_.jobs[index(job)].minibatches) {
    ends_[index(job)].completed = true;
    end_units_of(job);
    return;
  }
  Job& state = jobs_[index(job)];
  if (state.stops && minibatches == state.told) {
    end_units_of(job);
    return;
  }
  if (stopping_) return put_down(job);
  if (tuner_ == nullptr || minibatches < tuner_goal(job)) {
    keep(job);
    return;
  }
  state.state = Job::State::kAsking;
  asking_.push_back(job);
  if (std::exchange(state.asked, true)) return;  // It went back, and is here again.
  state.told = minibatches;
  tuner_->reached(job, minibatches);
}

/// A job that begins at its goal, as a checkpoint has it: it is like one that is paused there.
void Driver::ask_where_it_goes_on(JobId job) {
  Job& state = jobs_[index(job)];
  state.state = Job::State::kPaused;
  if (std::exchange(state.asked, true)) return;
  state.told = program_.jobs[index(job)].done;
  tuner_->reached(job, state.told);
}

/// A job that went back runs again to where it has asked.
std::int64_t Driver::tuner_goal(JobId job) const {
  const Job& state = jobs_[index(job)];
  return state.asked ? state.told : tuner_->goal(job);
}

void Driver::set_goal(JobId job) {
  std::int64_t goal = program_.jobs[index(job)].minibatches;
  if (tuner_ != nullptr) goal = std::min(goal, tuner_goal(job));
  if (stopping_) goal = std::min(goal, ledger_.next_border(job));
  const std::int64_t each = program_.checkpoints.minibatches;
  if (each > 0) goal = std::min(goal, (ledger_.minibatch(job) / each + 1) * each);
  ledger_.stop_at(job, goal);
  jobs_[index(job)].tracks_left = static_cast<std::uint32_t>(ledger_.tracks(job));
}

void Driver::consult() {
  auto verdicts = tuner_->decide();
  if (verdicts.empty() && asking_.empty()) return;
  for (; !verdicts.empty(); verdicts = tuner_->decide()) {
    // Who goes on comes first: a stop makes room, which is theirs before it is a new job's.
    for (const Tuner::Verdict& verdict : verdicts) {
      if (verdict.goes_on) go_on(verdict.job);
    }
    for (Tuner::Verdict& verdict : verdicts) {
      if (!verdict.goes_on) stop(verdict.job, std::move(verdict.reason));
    }
  }
  for (const JobId job : std::exchange(asking_, {})) {
    if (jobs_[index(job)].state == Job::State::kAsking) pause(job);
  }
}

void Driver::go_on(JobId job) {
  Job& state = jobs_[index(job)];
  if (state.over) {  // It was stopped meanwhile: its tuner would wait for it.
    tuner_->ended(job);
    return;
  }
  state.asked = false;
  set_goal(job);
  if (on_its_way(state.state)) {  // It will run past where it asked.
    if (state.state == Job::State::kRunning && !state.failed) offer_what_waited(job);
  } else if (state.state == Job::State::kAsking) {
    if (stopping_) return;  // It is paused like those without a verdict.
    state.state = Job::State::kRunning;
    offer_all(job);
  } else if (state.state == Job::State::kPausing) {
    state.released = true;
  } else {
    state.state = Job::State::kReleased;
    released_.push_back(job);
  }
}

void Driver::stop(JobId job, std::string reason) {
  Job& state = jobs_[index(job)];
  if (state.over) return;
  ends_[index(job)].reason = std::move(reason);
  state.stops = true;
  if (state.state == Job::State::kAsking) {
    end_units_of(job);
    return;
  }
  if (on_its_way(state.state)) return;  // It ends when it is there again.
  state.state = Job::State::kFlushing;
  tell_ended(job);
  end_job_if_flushed(job);
}

/// Once, though it may run to its end again after it went back.
void Driver::tell_ended(JobId job) {
  Job& state = jobs_[index(job)];
  if (std::exchange(state.over, true)) return;
  state.failed ? policy_.lost(job) : policy_.completed(job);
  if (tuner_ != nullptr) tuner_->ended(job);
}

/// Tracks that had come to the goal before.
void Driver::offer_what_waited(JobId job) {
  for (const TrackId track : ledger_.track_ids(job)) {
    const Track& state = tracks_[index(track)];
    if (!state.offered && state.claims == 0 && ledger_.unblocked(track)) offer_next(track);
  }
}

void Driver::pause(JobId job) {
  jobs_[index(job)].state = Job::State::kPausing;
  leave(job);
  end_pausing_if_flushed(job);
}

void Driver::end_pausing_if_flushed(JobId job) {
  Job& state = jobs_[index(job)];
  if (state.state != Job::State::kPausing) return;
  if (residency_ && !(residency_->flushed(job) && residency_->vacate(job))) return;
  state.state = Job::State::kPaused;
  if (stopping_) put_away(job);
  if (!std::exchange(state.released, false)) return;
  state.state = Job::State::kReleased;
  released_.push_back(job);
}

/// Those that the tuner released, before any that never ran.
void Driver::admit_released(std::size_t limit) {
  for (const JobId job : std::exchange(released_, {})) {
    if (devices_away_ > 0 && residency_ && !fits(job)) {
      stop_for_want_of_room(job);
      continue;
    }
    if (running_jobs_ >= limit || !admit(job)) released_.push_back(job);
  }
}

}  // namespace shardlab
