#include "policies/heft.h"

#include <algorithm>

#include "sched/link.h"

namespace shardlab {
namespace {

/// Units of higher rank that are given to other devices before the one that chooses gives up.
constexpr std::size_t kMostLeft = 64;

}  // namespace

void Heft::begin(const StateView& view) {
  view_ = &view;
  copies_ = std::ranges::any_of(view.cluster().devices, &DeviceSpec::paced);
  alike_ = view.program().class_of.empty() && !copies_;
}

Instant Heft::end(const Candidate& unit, std::size_t device) const {
  Instant at =
      free_at_[device] + expected_on(view_->program(), unit.job, unit.unit, device_id(device));
  if (!copies_) return at;
  const JobProgram& job = view_->program().jobs[index(unit.job)];
  Bytes missing = -view_->present(unit.job, unit.unit, device_id(device));
  for (const ItemIndex item : job.units[unit.unit].reads) missing += job.items[item].bytes;
  return at + transfer_time(missing, view_->cluster().devices[device].link);
}

/// Ties go to the device that chooses.
std::size_t Heft::best(const Candidate& unit, std::size_t chooser) const {
  std::size_t best = chooser;
  Instant earliest = end(unit, chooser);
  for (std::size_t d = 0; d < free_at_.size(); ++d) {
    const Instant there = d == chooser ? earliest : end(unit, d);
    if (there < earliest) {
      best = d;
      earliest = there;
    }
  }
  return best;
}

TrackId Heft::pick(const DeviceView& device) {
  TrackId chosen = index_.take(device.id);
  // Whoever chooses first is as early as any.
  if (chosen == kNoTrack || (alike_ && !device.buffer)) return chosen;
  free_at_.clear();
  for (std::size_t d = 0; d < view_->cluster().devices.size(); ++d) {
    free_at_.push_back(view_->lane(device_id(d)).free_at);
  }
  left_.clear();
  while (chosen != kNoTrack) {
    const Candidate& unit = waiting_[index(chosen)];
    const std::size_t where =
        unit.bound == kNoDevice ? best(unit, index(device.id)) : index(device.id);
    if (where == index(device.id)) break;
    free_at_[where] = end(unit, where);
    left_.push_back(chosen);
    chosen = left_.size() < kMostLeft ? index_.take(device.id) : kNoTrack;
  }
  for (const TrackId track : left_) {
    index_.set(waiting_[index(track)], waiting_[index(track)].remaining.count());
  }
  return chosen;
}

}  // namespace shardlab
