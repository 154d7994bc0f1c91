#include "policies/task_parallel.h"

namespace shardlab {

void TaskParallel::begin(const StateView& view) {
  view_ = &view;
  homes_.begin(view);
  own_.assign(view.cluster().devices.size(), kNoTrack);
}

void TaskParallel::ready(const Candidate& unit) {
  last_unit_[index(unit.track)] = unit.remaining <= unit.unit_time;
  bound_[index(unit.track)] = unit.bound != kNoDevice;
  if (begun_[index(unit.track)]) {
    waits_[index(unit.track)] = true;
  } else {
    unbegun_.set(unit, unit.remaining.count());
  }
}

void TaskParallel::gone(TrackId track) {
  if (begun_[index(track)]) {
    waits_[index(track)] = false;
  } else {
    unbegun_.clear(track);
  }
}

/// It is not paused, failed or stopped: its next unit will come.
bool TaskParallel::runs_to_its_end(TrackId track) const {
  return view_->state(view_->job(track)) == StateView::JobState::kRunning;
}

TrackId TaskParallel::pick(const DeviceView& device) {
  TrackId& own = own_[index(device.id)];
  if (own == kNoTrack && !orphans_.empty()) {
    own = orphans_.back();
    orphans_.pop_back();
  }
  if (own != kNoTrack && waits_[index(own)]) {
    const TrackId chosen = own;
    waits_[index(chosen)] = false;
    begin_or_end(device.id, chosen);
    return chosen;
  }
  if (own != kNoTrack) {
    if (runs_to_its_end(own)) return kNoTrack;
    begun_[index(own)] = false;
    own = kNoTrack;
  }
  const TrackId chosen = unbegun_.take(device.id);
  if (chosen != kNoTrack && !bound_[index(chosen)]) begin_or_end(device.id, chosen);
  return chosen;
}

/// The device took a unit of the job: it is its own until that is the last.
void TaskParallel::begin_or_end(DeviceId device, TrackId track) {
  homes_.took(device, track);
  begun_[index(track)] = !last_unit_[index(track)];
  own_[index(device)] = begun_[index(track)] ? track : kNoTrack;
}

}  // namespace shardlab
