#include "policies/replay.h"

#include <algorithm>
#include <utility>

#include "sched/ledger.h"

namespace shardlab {

Replay::Replay(std::span<const OrderedUnit> order, const Program& program, std::size_t devices,
               Times times)
    : times_(times),
      devices_(devices),
      ready_(track_count(program)),
      present_(ready_.size()),
      picked_(ready_.size()),
      gives_back_(ready_.size()),
      first_device_(program.jobs.size(), kNoDevice) {
  const Ledger tracks(program);
  for (std::size_t row = 0; row < order.size(); ++row) {
    const OrderedUnit& claim = order[row];
    DeviceId& first = first_device_.at(index(claim.job));
    if (first == kNoDevice) first = claim.device;
    if (claim.given_back && times == Times::kIgnored) continue;
    keeps_ |= claim.kept;
    const JobProgram& job = program.jobs.at(index(claim.job));
    if (claim.minibatch < job.done) continue;  // Before this run.
    const Unit& unit = job.units.at(claim.unit);
    const std::size_t number = tracks_of(job)[unit.track].number(claim.minibatch, claim.unit);
    devices_.at(index(claim.device))
        .order.push_back({tracks.track_of(claim.job, unit), number, row, claim});
  }
  if (times == Times::kIgnored) note_first_claims(order);
}

Replay::Replay(const Plan& plan, const Program& program, std::size_t devices, Times times)
    : Replay(plan.order, program, devices, times) {
  places_ = plan.places || times == Times::kIgnored;
  for (std::size_t i = plan.evicted.size(); i-- > 0;) {
    const auto& [device, job, item] = plan.evicted[i];
    evictions_[{device, job, item}].push_back(static_cast<std::int64_t>(i));
  }
}

/// Only the times say which of two devices claimed first.
void Replay::note_first_claims(std::span<const OrderedUnit> order) {
  using First = std::tuple<Instant, Turn, std::size_t>;
  std::vector<First> first(first_device_.size(), {kNever, {}, 0});
  bool timed = false;
  for (std::size_t row = 0; row < order.size(); ++row) {
    First& its = first[index(order[row].job)];
    its = std::min(its, First{order[row].claim, order[row].turn, row});
    timed |= order[row].claim > Instant{};
  }
  if (!timed) return;
  for (std::size_t j = 0; j < first.size(); ++j) by_first_claim_.push_back(job_id(j));
  std::ranges::stable_sort(by_first_claim_, {}, [&](JobId job) { return first[index(job)]; });
}

bool Replay::admits(JobId job) {
  if (disturbed_) return true;
  const auto there = [&](JobId other) {
    return view_->state(other) != StateView::JobState::kWaiting;
  };
  while (next_admitted_ < by_first_claim_.size() && there(by_first_claim_[next_admitted_])) {
    ++next_admitted_;
  }
  return next_admitted_ == by_first_claim_.size() || by_first_claim_[next_admitted_] == job;
}

/// Asked once per unit that is done. A device ends at most one before it is asked; what it was not
/// asked of is older.
bool Replay::keeps(JobId job, DeviceId device) const {
  auto& open = devices_[index(device)].open;
  bool kept = false;
  std::erase_if(open, [&](const Open& claim) {
    if (claim.job != job || claim.number >= view_->units_done(claim.track)) return false;
    kept = claim.kept;
    return true;
  });
  return kept;
}

std::int64_t Replay::worth(JobId job, ItemIndex item, DeviceId device) {
  const auto found = evictions_.find({device, job, item});
  return found == evictions_.end() || found->second.empty() ? INT64_MAX : found->second.back();
}

void Replay::evicted(JobId job, ItemIndex item, DeviceId device) {
  const auto found = evictions_.find({device, job, item});
  if (found != evictions_.end() && !found->second.empty()) found->second.pop_back();
}

void Replay::ready(const Candidate& unit) {
  const std::size_t track = index(unit.track);
  ready_.at(track) = unit;
  present_[track] = true;
  const bool again = !unit.ahead && view_->units_done(unit.track) < picked_[track];
  if (again && !gives_back_[track] && times_ == Times::kIgnored) disturbed_ = true;
}

void Replay::gone(TrackId track) { present_[index(track)] = false; }

/// A unit that two rows claim, as it was given back: with other costs the first may have kept it,
/// or come too late.
void Replay::pass_over_done(Device& device) const {
  for (; device.next < device.order.size(); ++device.next) {
    const Place& place = device.order[device.next];
    if (place.number >= view_->units_done(place.track)) return;
  }
}

TrackId Replay::pick(const DeviceView& device) {
  if (disturbed_) return pick_longest(device.id);
  Device& mine = devices_.at(index(device.id));
  if (times_ == Times::kKept) pass_over_done(mine);
  if (mine.next == mine.order.size()) return kNoTrack;
  const auto& [track, number, row, claim] = mine.order[mine.next];
  const bool soon = device.now == claim.claim && device.turn < claim.turn;
  if (times_ == Times::kKept && (soon || device.now < claim.claim)) return kNoTrack;
  const Candidate& unit = ready_[index(track)];
  const bool there = present_[index(track)] && unit.minibatch == claim.minibatch &&
                     unit.unit == claim.unit && (claim.ahead || !unit.ahead);
  if (!there) return kNoTrack;
  ++mine.next;
  gives_back_[index(track)] = claim.given_back;
  picked_[index(track)] = number + 1;
  if (keeps_ && !claim.given_back) mine.open.push_back({track, claim.job, number, claim.kept});
  gone(track);
  return track;
}

Instant Replay::awaits(Instant now) const {
  Instant soonest = kNever;
  if (times_ == Times::kIgnored) return soonest;
  for (const Device& device : devices_) {
    if (device.next == device.order.size()) continue;
    const Instant claim = device.order[device.next].claim.claim;
    // Of this instant, too: its turn may never come where another cost made the run another.
    if (claim >= now) soonest = std::min(soonest, std::max(claim, now + Duration{1}));
  }
  return soonest;
}

}  // namespace shardlab
