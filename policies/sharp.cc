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
      patience_.push_back(s * (1 + again) * static_cast<double>(track_time(job, track).count()));
      again_.push_back(again);
    }
  }
}

void Sharp::ready(const Candidate& unit) {
  levels_.offered(unit);
  waiting_[index(unit.track)] = unit;
  there_[index(unit.track)] = true;
  index_.set(unit, key(unit));
}

void Sharp::gone(TrackId track) {
  there_[index(track)] = false;
  index_.clear(track);
}

TrackId Sharp::pick(const DeviceView& device) {
  if (device.buffer && !may_prefetch(device.id)) return kNoTrack;
  const CandidateTree::Winner leader = index_.first(device.id);
  if (leader.track == kNoTrack) return kNoTrack;
  TrackId chosen = prefer_home(device.id, leader);
  if (levels_.mixed()) chosen = first_not_held(device, chosen);
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

TrackId Sharp::prefer_home(DeviceId device, CandidateTree::Winner leader) const {
  const TrackId home = homes_.last(device);
  if (home == kNoTrack || !there_[index(home)]) return leader.track;
  const Candidate& unit = waiting_[index(home)];
  const bool may = unit.bound == kNoDevice || unit.bound == device;
  const auto behind = static_cast<double>(leader.key - key(unit));
  return may && behind <= patience_[index(home)] ? home : leader.track;
}

/// `chosen`, or the longest that the device does not have to leave to faster ones.
TrackId Sharp::first_not_held(const DeviceView& device, TrackId chosen) {
  levels_.chooses(device);
  left_.clear();
  while (chosen != kNoTrack && levels_.holds(waiting_[index(chosen)])) {
    left_.push_back(chosen);
    index_.clear(chosen);
    chosen = index_.first(device.id).track;
  }
  for (const TrackId track : left_) {
    index_.set(waiting_[index(track)], key(waiting_[index(track)]));
  }
  return chosen;
}

}  // namespace shardlab
