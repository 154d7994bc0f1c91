#include "policies/sharp.h"

#include <cmath>

#include "policies/copy_load.h"

namespace shardlab {
namespace {

/// Of the time that computing takes; below it, write-backs are hidden behind that.
constexpr double kMostWriteBack = 0.8;

}  // namespace

void Sharp::begin(const StateView& view) {
  view_ = &view;
  homes_.begin(view);
  levels_.begin(view);
  const CopyLoad load = copy_load(view);
  prefetches_ = load.any;
  keeps_ = load.write_back > kMostWriteBack;
  for (std::size_t j = 0; j < load.jobs.size(); ++j) {
    const JobProgram& job = view.program().jobs[j];
    const CopyLoad::OfJob& its = load.jobs[j];
    const double s =
        its.exposed > 0 ? std::sqrt(load.work_per_device * its.move / 2) / its.minibatch : 0;
    const double again = its.minibatch > 0 ? its.again / its.minibatch : 0;
    for (const Track& track : tracks_of(job)) {
      patience_.add(s * (1 + again) * static_cast<double>(track_time(job, track).count()));
      again_.push_back(again);
    }
  }
}

void Sharp::ready(const Candidate& unit) {
  const CandidateIndex::Key its = key(unit);
  levels_.offered(unit);
  patience_.offered(unit, its);
  index_.set(unit, its);
}

void Sharp::gone(TrackId track) {
  patience_.gone(track);
  index_.clear(track);
}

TrackId Sharp::pick(const DeviceView& device) {
  if (device.buffer && !may_prefetch(device.id)) return kNoTrack;
  const CandidateTree::Winner leader = index_.first(device.id);
  if (leader.track == kNoTrack) return kNoTrack;
  TrackId chosen = patience_.choose(device.id, homes_.last(device.id), leader);
  if (levels_.mixed()) {
    const auto key_of = [this](const Candidate& unit) { return key(unit); };
    chosen = levels_.first_not_held(device, chosen, index_, key_of);
  }
  if (chosen == kNoTrack) return kNoTrack;
  homes_.took(device.id, chosen);
  gone(chosen);
  return chosen;
}

bool Sharp::may_prefetch(DeviceId device) const {
  if (!prefetches_) return false;
  const StateView::Lane lane = view_->lane(device);
  return lane.running != kNoTrack && lane.claims == 1;
}

}  // namespace shardlab
