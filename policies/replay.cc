#include "policies/replay.h"

#include <algorithm>

#include "sched/ledger.h"

namespace shardlab {

Replay::Replay(const Timeline& timeline, const Program& program)
    : order_(timeline.devices.size()),
      ready_(track_count(program)),
      present_(ready_.size()),
      first_device_(program.jobs.size(), kNoDevice) {
  const Ledger tracks(program);
  // Not by start: a device may start what it claimed later, while earlier claims wait for copies.
  std::vector<const UnitSpan*> by_claim;
  for (const UnitSpan& span : timeline.units) by_claim.push_back(&span);
  std::sort(by_claim.begin(), by_claim.end(),
            [](const UnitSpan* a, const UnitSpan* b) { return a->claim < b->claim; });
  std::vector<Instant> previous_end(ready_.size());  // A track's units are claimed in their order.
  for (const UnitSpan* span : by_claim) {
    DeviceId& first = first_device_.at(index(span->job));
    if (first == kNoDevice) first = span->device;
    const Unit& unit = program.jobs.at(index(span->job)).units.at(span->unit);
    const TrackId track = tracks.track_of(span->job, unit);
    Instant& previous = previous_end.at(index(track));
    order_.at(index(span->device))
        .push_back({track, span->minibatch, span->unit, span->claimed < previous});
    previous = span->to;
  }
}

void Replay::ready(const Candidate& unit) {
  ready_.at(index(unit.track)) = unit;
  present_[index(unit.track)] = true;
}

void Replay::gone(TrackId track) { present_[index(track)] = false; }

TrackId Replay::pick(const DeviceView& device) {
  auto& order = order_.at(index(device.id));
  if (order.empty()) return kNoTrack;
  const Place next = order.front();
  const Candidate& unit = ready_[index(next.track)];
  const bool there =
      present_[index(next.track)] && unit.minibatch == next.minibatch && unit.unit == next.unit;
  if (!there || (unit.ahead && !next.ahead)) return kNoTrack;
  order.pop_front();
  gone(next.track);
  return next.track;
}

}  // namespace shardlab
