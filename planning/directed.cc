#include "planning/directed.h"

#include <limits>
#include <utility>

#include "sched/ledger.h"

namespace shardlab {

Directions directions_of(const Timeline& timeline, const Program& program) {
  Directions made;
  const Ledger ledger(program);
  std::vector<Track> tracks;
  for (const JobProgram& job : program.jobs) {
    for (const Track& track : tracks_of(job)) {
      tracks.push_back(track);
      constexpr double kLast = std::numeric_limits<double>::max();
      made.tracks.emplace_back(track.count * static_cast<std::size_t>(job.minibatches),
                               Directions::Unit{kLast, kNoDevice});
    }
  }
  for (const UnitSpan& span : timeline.units) {
    const Unit& unit = program.jobs[index(span.job)].units[span.unit];
    const std::size_t t = index(ledger.track_of(span.job, unit));
    made.tracks[t][tracks[t].number(span.minibatch, span.unit)] = {static_cast<double>(span.claim),
                                                                   span.device};
  }
  return made;
}

void Directed::begin(const StateView& view) {
  view_ = &view;
  homes_.begin(view);
  lost_.assign(view.cluster().devices.size(), false);
  for (const JobProgram& job : view.program().jobs) {
    for (const Track& track : tracks_of(job)) its_.push_back(track);
  }
}

const Directions::Unit& Directed::direction(const Candidate& unit) const {
  const std::size_t t = index(unit.track);
  return directions_.tracks[t][its_[t].number(unit.minibatch, unit.unit)];
}

bool Directed::own(const Candidate& unit, DeviceId device) const {
  const DeviceId its = direction(unit).device;
  return unit.bound == device || its == device || its == kNoDevice || lost_[index(its)];
}

TrackId Directed::pick(const DeviceView& device) {
  using Prefetch = Directions::Prefetch;
  if (device.buffer && directions_.prefetch != Prefetch::kAtOnce) {
    if (directions_.prefetch == Prefetch::kNever) return kNoTrack;
    if (view_->lane(device.id).running == kNoTrack) return kNoTrack;
  }
  using Key = std::pair<int, double>;
  constexpr double kEnd = std::numeric_limits<double>::infinity();
  Key first{std::numeric_limits<int>::max(), kEnd}, first_of_others = first;
  TrackId chosen = kNoTrack, of_others = kNoTrack;
  for (std::size_t t = there_.next(0); t != IdSet::kEnd; t = there_.next(t + 1)) {
    const Candidate& unit = waiting_[t];
    if (unit.bound != kNoDevice && unit.bound != device.id) continue;
    const Key key{-view_->program().jobs[index(unit.job)].priority, direction(unit).rank};
    const bool mine = own(unit, device.id);
    Key& least = mine ? first : first_of_others;
    if (key >= least) continue;
    least = key;
    (mine ? chosen : of_others) = unit.track;
  }
  if (chosen == kNoTrack && directions_.helps && !device.buffer) chosen = of_others;
  if (chosen == kNoTrack) return kNoTrack;
  homes_.took(device.id, chosen);
  gone(chosen);
  return chosen;
}

}  // namespace shardlab
