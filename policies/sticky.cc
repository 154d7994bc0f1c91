#include "policies/sticky.h"

namespace shardlab {

void Sticky::begin(const StateView& view) {
  homes_.begin(view);
  for (const JobProgram& job : view.program().jobs) {
    for (const Track& track : tracks_of(job)) {
      patience_.push_back(s_ * static_cast<double>(track_time(job, track).count()));
    }
  }
}

void Sticky::ready(const Candidate& unit) {
  waiting_[index(unit.track)] = {unit.remaining, unit.bound, true};
  index_.set(unit, unit.remaining.count());
}

void Sticky::gone(TrackId track) {
  waiting_[index(track)].there = false;
  index_.clear(track);
}

TrackId Sticky::pick(const DeviceView& device) {
  const CandidateTree::Winner leader = index_.first(device.id);
  if (leader.track == kNoTrack) return kNoTrack;
  TrackId chosen = leader.track;
  if (const TrackId home = homes_.last(device.id); home != kNoTrack) {
    const Waiting& stays = waiting_[index(home)];
    const bool may = stays.there && (stays.bound == kNoDevice || stays.bound == device.id);
    const auto behind = static_cast<double>(leader.key - stays.remaining.count());
    if (may && behind <= patience_[index(home)]) chosen = home;
  }
  homes_.took(device.id, chosen);
  gone(chosen);
  return chosen;
}

}  // namespace shardlab
