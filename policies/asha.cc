#include "policies/asha.h"

#include <algorithm>
#include <iterator>

namespace shardlab {

Asha::Asha(std::size_t jobs, Rungs rungs, std::int64_t eta, LossOf losses)
    : rungs_(std::move(rungs)),
      eta_(static_cast<std::size_t>(eta)),
      losses_(std::move(losses)),
      jobs_(jobs),
      state_(rungs_.at.size() + 1) {
  state_[0].on_their_way = jobs;
}

void Asha::reached(JobId job, std::int64_t minibatches) {
  Member& member = jobs_[index(job)];
  --state_[member.rung].on_their_way;
  if (member.rung == rungs_.at.size()) {
    stop(job);
    return;
  }
  member.state = Member::State::kWaits;
  enter(member.rung, {losses_(job, minibatches), job});
}

void Asha::ended(JobId job) {
  Member& member = jobs_[index(job)];
  if (member.state != Member::State::kOnItsWay) return;
  member.state = Member::State::kOut;
  --state_[member.rung].on_their_way;
}

std::vector<Tuner::Verdict> Asha::decide() {
  promote_entries();
  close_rungs();
  return std::exchange(verdicts_, {});
}

/// Keeps the best 1/eta in `top`.
void Asha::enter(std::size_t rung, const Result& result) {
  auto& [on_their_way, promoted, top, rest] = state_[rung];
  top.insert(result);
  rest.insert(top.extract(std::prev(top.end())));
  if (top.contains(result)) entries_.push_back({rung, result});
  if (top.size() == (top.size() + rest.size()) / eta_) return;
  entries_.push_back({rung, *rest.begin()});
  top.insert(rest.extract(rest.begin()));
}

/// Of the results of one instant all are known: whom others of that instant pushed out waits on.
void Asha::promote_entries() {
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.rung != b.rung ? a.rung > b.rung : a.result < b.result;
  });
  for (const Entry& entry : std::exchange(entries_, {})) {
    const JobId job = entry.result.second;
    const Member& member = jobs_[index(job)];
    const bool waits = member.state == Member::State::kWaits && member.rung == entry.rung;
    if (waits && state_[entry.rung].top.contains(entry.result)) promote(job);
  }
}

void Asha::promote(JobId job) {
  Member& member = jobs_[index(job)];
  state_[member.rung].promoted = true;
  member.state = Member::State::kOnItsWay;
  ++state_[++member.rung].on_their_way;
  verdicts_.push_back({job, true, {}});
}

void Asha::stop(JobId job) {
  jobs_[index(job)].state = Member::State::kOut;
  verdicts_.push_back({job, false, rungs_.reason(jobs_[index(job)].rung)});
}

void Asha::close_rungs() {
  for (; closed_ < rungs_.at.size() && state_[closed_].on_their_way == 0; ++closed_) {
    const Rung& rung = state_[closed_];
    if (!rung.promoted && !rung.rest.empty()) promote(rung.rest.begin()->second);
    for (const auto& [loss, job] : rung.rest) {
      const Member& member = jobs_[index(job)];
      if (member.state == Member::State::kWaits && member.rung == closed_) stop(job);
    }
  }
}

}  // namespace shardlab
