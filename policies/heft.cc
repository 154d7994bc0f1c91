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
  const std::vector<std::uint16_t>& class_of = view.program().class_of;
  for (std::size_t d = 0; d < view.cluster().devices.size(); ++d) {
    const auto same = [&](const std::vector<std::size_t>& kind) {
      return class_of.empty() || class_of[kind.front()] == class_of[d];
    };
    const auto kind = std::ranges::find_if(kinds_, same);
    kind_of_.push_back(static_cast<std::size_t>(kind - kinds_.begin()));
    if (kind == kinds_.end()) kinds_.emplace_back();
    kinds_[kind_of_.back()].push_back(d);
  }
  times_.resize(waiting_.size() * kinds_.size());
}

void Heft::ready(const Candidate& unit) {
  waiting_[index(unit.track)] = unit;
  for (std::size_t k = 0; k < kinds_.size(); ++k) {
    times_[index(unit.track) * kinds_.size() + k] =
        expected_on(view_->program(), unit.job, unit.unit, device_id(kinds_[k].front()));
  }
  index_.set(unit, unit.remaining.count());
}

Instant Heft::end(const Candidate& unit, std::size_t device) const {
  const Instant at =
      free_at_[device] + times_[index(unit.track) * kinds_.size() + kind_of_[device]];
  if (!copies_) return at;
  const JobProgram& job = view_->program().jobs[index(unit.job)];
  Bytes missing = -view_->present(unit.job, unit.unit, device_id(device));
  for (const ItemIndex item : job.units[unit.unit].reads) missing += job.items[item].bytes;
  return at + transfer_time(missing, view_->cluster().devices[device].link);
}

/// Ties go to the device that chooses, then to the lower one.
std::size_t Heft::best(const Candidate& unit, std::size_t chooser) const {
  std::size_t best = chooser;
  Instant earliest = end(unit, chooser);
  const auto consider = [&](std::size_t device) {
    const Instant there = end(unit, device);
    if (there > earliest || best == device) return;
    if (there == earliest && (best == chooser || best < device)) return;
    best = device;
    earliest = there;
  };
  for (const std::vector<std::size_t>& alike : kinds_) {
    // Without copies, of devices alike the one that is free first is best.
    if (copies_) {
      std::ranges::for_each(alike, consider);
    } else {
      consider(*std::ranges::min_element(alike, {}, [this](std::size_t d) { return free_at_[d]; }));
    }
  }
  return best;
}

TrackId Heft::pick(const DeviceView& device) {
  TrackId chosen = index_.take(device.id);
  // Whoever chooses first is as early as any.
  if (chosen == kNoTrack || (alike_ && !device.buffer)) return chosen;
  free_at_.clear();
  for (std::size_t d = 0; d < kind_of_.size(); ++d) {
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
