#include "policies/recorded_tuner.h"

#include <limits>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

}  // namespace

RecordedTuner::RecordedTuner(const Workload& workload, const Make& make, LossOf loss,
                             const std::vector<Decision>& before, Note note)
    : workload_(workload),
      loss_of_(std::move(loss)),
      tuner_(make([this](JobId, std::int64_t) { return loss_; })),
      places_(workload.jobs.size()),
      note_(std::move(note)) {
  for (std::size_t i = 0; i < before.size(); ++i) {
    for (const Decision::Told& told : before[i].told) tell(told);
    ask();
    if (now_ == before[i]) {
      now_ = {};
      continue;
    }
    throw Error(fmt::format(
        "decision {} comes out otherwise now: the search is another one, or this version's; begin "
        "anew in another folder",
        i));
  }
}

std::int64_t RecordedTuner::goal(JobId job) const {
  const Place& place = places_[index(job)];
  switch (place.state) {
    case Place::State::kOnItsWay:
      return tuner_->goal(job);
    case Place::State::kWaits:
    case Place::State::kStopped:
      return place.at;
    case Place::State::kFailed:
      return workload_.jobs[index(job)].done;
    case Place::State::kEnded:
      break;
  }
  return kNoLimit;
}

std::int64_t RecordedTuner::most(JobId job) const {
  return places_[index(job)].state == Place::State::kFailed ? kNoLimit : goal(job);
}

bool RecordedTuner::waits(JobId job) const {
  return places_[index(job)].state == Place::State::kWaits;
}

void RecordedTuner::reached(JobId job, std::int64_t minibatches) {
  const Place& place = places_[index(job)];
  if (place.state == Place::State::kStopped || place.state == Place::State::kFailed) {
    repeated_.push_back({job, false, place.reason});
    return;
  }
  tell({job, minibatches, loss_of_(job, minibatches)});
}

void RecordedTuner::ended(JobId job) {
  const Place::State state = places_[index(job)].state;
  if (state == Place::State::kOnItsWay || state == Place::State::kWaits) tell({job, 0, 0});
}

void RecordedTuner::tell(const Decision::Told& told) {
  Place& place = places_.at(index(told.job));
  now_.told.push_back(told);
  if (told.minibatches > 0) {
    place.state = Place::State::kWaits;
    place.at = told.minibatches;
    loss_ = told.loss;
    tuner_->reached(told.job, told.minibatches);
    return;
  }
  // Who was to ask before its end has failed.
  const bool failed = place.state == Place::State::kWaits ||
                      tuner_->goal(told.job) < workload_.jobs[index(told.job)].minibatches;
  place.state = failed ? Place::State::kFailed : Place::State::kEnded;
  place.reason = "failed before the run was resumed";
  tuner_->ended(told.job);
}

std::vector<Tuner::Verdict> RecordedTuner::ask() {
  auto verdicts = tuner_->decide();
  for (const Verdict& verdict : verdicts) {
    now_.verdicts.push_back({verdict.job, verdict.goes_on});
    Place& place = places_[index(verdict.job)];
    place.state = verdict.goes_on ? Place::State::kOnItsWay : Place::State::kStopped;
    place.reason = verdict.reason;
  }
  return verdicts;
}

std::vector<Tuner::Verdict> RecordedTuner::decide() {
  auto verdicts = ask();
  const bool any = !now_.told.empty() || !now_.verdicts.empty();
  if (any && note_) note_(now_);
  if (any) now_ = {};
  for (Verdict& verdict : std::exchange(repeated_, {})) verdicts.push_back(std::move(verdict));
  return verdicts;
}

}  // namespace shardlab
