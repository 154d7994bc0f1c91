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
  kept_.resize(program.jobs.size());
  for (const UnitSpan* span : by_claim) {
    note_kept(*span, program);
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

void Replay::note_kept(const UnitSpan& span, const Program& program) {
  if (!span.kept) return;
  const JobProgram& job = program.jobs.at(index(span.job));
  auto& kept = kept_.at(index(span.job));
  kept.resize(job.units.size() * static_cast<std::size_t>(job.minibatches));
  kept.at(static_cast<std::size_t>(span.minibatch) * job.units.size() + span.unit) = true;
}

/// Asked of the unit that was done last.
bool Replay::keeps(JobId job, DeviceId) const {
  const auto& kept = kept_.at(index(job));
  const std::size_t done = kept.empty() ? 0 : view_->units_done(job);
  return done > 0 && kept.at(done - 1);
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
