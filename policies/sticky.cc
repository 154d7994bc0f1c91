#include "policies/sticky.h"

namespace shardlab {

void Sticky::begin(const StateView& view) {
  homes_.begin(view);
  for (const JobProgram& job : view.program().jobs) {
    for (const Track& track : tracks_of(job)) {
      patience_.add(s_ * static_cast<double>(track_time(job, track).count()));
    }
  }
}

void Sticky::ready(const Candidate& unit) {
  const CandidateIndex::Key key = unit.remaining.count();
  patience_.offered(unit, key);
  index_.set(unit, key);
}

void Sticky::gone(TrackId track) {
  patience_.gone(track);
  index_.clear(track);
}

TrackId Sticky::pick(const DeviceView& device) {
  const CandidateTree::Winner leader = index_.first(device.id);
  if (leader.track == kNoTrack) return kNoTrack;
  const TrackId chosen = patience_.choose(device.id, homes_.last(device.id), leader);
  homes_.took(device.id, chosen);
  gone(chosen);
  return chosen;
}

}  // namespace shardlab
