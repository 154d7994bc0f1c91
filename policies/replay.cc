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
      gives_back_(ready_.size()),
      first_device_(program.jobs.size(), kNoDevice) {
  const Ledger tracks(program);
  for (const OrderedUnit& claim : order) {
    DeviceId& first = first_device_.at(index(claim.job));
    if (first == kNoDevice) first = claim.device;
    if (claim.given_back && times == Times::kIgnored) continue;
    note_kept(claim, program);
    const Unit& unit = program.jobs.at(index(claim.job)).units.at(claim.unit);
    devices_.at(index(claim.device)).order.push_back({tracks.track_of(claim.job, unit), claim});
  }
}

void Replay::note_kept(const OrderedUnit& claim, const Program& program) {
  kept_.resize(program.jobs.size());
  if (!claim.kept) return;
  const JobProgram& job = program.jobs.at(index(claim.job));
  auto& kept = kept_.at(index(claim.job));
  kept.resize(job.units.size() * static_cast<std::size_t>(job.minibatches));
  kept.at(static_cast<std::size_t>(claim.minibatch) * job.units.size() + claim.unit) = true;
}

/// Asked of the unit that was done last.
bool Replay::keeps(JobId job, DeviceId) const {
  if (kept_.empty() || kept_.at(index(job)).empty()) return false;
  const std::size_t done = view_->units_done(job);
  return done > 0 && kept_[index(job)].at(done - 1);
}

void Replay::ready(const Candidate& unit) {
  ready_.at(index(unit.track)) = unit;
  present_[index(unit.track)] = true;
}

void Replay::gone(TrackId track) { present_[index(track)] = false; }

TrackId Replay::pick(const DeviceView& device) {
  Device& mine = devices_.at(index(device.id));
  if (mine.next == mine.order.size()) return kNoTrack;
  const auto& [track, claim] = mine.order[mine.next];
  const bool soon = device.now == claim.claim && device.turn < claim.turn;
  if (times_ == Times::kKept && (soon || device.now < claim.claim)) return kNoTrack;
  const Candidate& unit = ready_[index(track)];
  const bool there = present_[index(track)] && unit.minibatch == claim.minibatch &&
                     unit.unit == claim.unit && (claim.ahead || !unit.ahead);
  if (!there) return kNoTrack;
  ++mine.next;
  gives_back_[index(track)] = claim.given_back;
  gone(track);
  return track;
}

Instant Replay::awaits(Instant now) const {
  Instant soonest = kNever;
  if (times_ == Times::kIgnored) return soonest;
  for (const Device& device : devices_) {
    if (device.next == device.order.size()) continue;
    const Instant claim = device.order[device.next].claim.claim;
    if (claim > now) soonest = std::min(soonest, claim);
  }
  return soonest;
}

std::vector<OrderedUnit> order_of(const Timeline& timeline) {
  std::vector<std::pair<std::int64_t, OrderedUnit>> numbered;
  for (const UnitSpan& span : timeline.units) {
    numbered.push_back(
        {span.claim,
         {span.device, span.job, span.minibatch, span.unit, span.claimed, span.turn, span.ahead,
          /*given_back=*/false, span.kept}});
  }
  for (const GivenBack& each : timeline.given_back) {
    numbered.push_back({each.claim,
                        {each.device, each.job, each.minibatch, each.unit, each.claimed, each.turn,
                         /*ahead=*/true, /*given_back=*/true}});
  }
  // Not by start: a device may start what it claimed later, while earlier claims wait for copies.
  std::ranges::sort(numbered, {}, &std::pair<std::int64_t, OrderedUnit>::first);
  std::vector<OrderedUnit> order;
  order.reserve(numbered.size());
  for (const auto& [number, claim] : numbered) order.push_back(claim);
  return order;
}

}  // namespace shardlab
