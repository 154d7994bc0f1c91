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
  if (tuner_ == nullptr || minibatches < tuner_->goal(job)) {
    keep(job);
    return;
  }
  jobs_[index(job)].state = Job::State::kAsking;
  asking_.push_back(job);
  tuner_->reached(job, minibatches);
}

void Driver::set_goal(JobId job) {
  std::int64_t goal = program_.jobs[index(job)].minibatches;
  if (tuner_ != nullptr) goal = std::min(goal, tuner_->goal(job));
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
  set_goal(job);
  if (state.state == Job::State::kAsking) {
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
  ends_[index(job)].reason = std::move(reason);
  if (state.state == Job::State::kAsking) {
    end_units_of(job);
    return;
  }
  state.state = Job::State::kFlushing;
  policy_.completed(job);
  tuner_->ended(job);
  end_job_if_flushed(job);
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
  if (!std::exchange(state.released, false)) return;
  state.state = Job::State::kReleased;
  released_.push_back(job);
}

/// Those that the tuner released, before any that never ran.
void Driver::admit_released(std::size_t limit) {
  for (const JobId job : std::exchange(released_, {})) {
    if (running_jobs_ >= limit || !admit(job)) released_.push_back(job);
  }
}

}  // namespace shardlab
