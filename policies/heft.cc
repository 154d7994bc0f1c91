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
  reads_.resize(waiting_.size());
  times_.resize(waiting_.size() * kinds_.size());
  free_at_.resize(kind_of_.size());
  first_.resize(kinds_.size());
}

void Heft::ready(const Candidate& unit) {
  waiting_[index(unit.track)] = unit;
  for (std::size_t k = 0; k < kinds_.size(); ++k) {
    times_[index(unit.track) * kinds_.size() + k] =
        expected_on(view_->program(), unit.job, unit.unit, device_id(kinds_[k].front()));
  }
  if (copies_) {
    const JobProgram& job = view_->program().jobs[index(unit.job)];
    Bytes& reads = reads_[index(unit.track)] = 0;
    for (const ItemIndex item : job.units[unit.unit].reads) reads += job.items[item].bytes;
  }
  order_.set(unit, unit.remaining.count());
}

Duration Heft::copy_time(const Candidate& unit, std::size_t device) const {
  const Bytes present = view_->present(unit.job, unit.unit, device_id(device));
  const LinkSpec& link = view_->cluster().devices[device].link;
  return transfer_time(reads_[index(unit.track)] - present, link);
}

/// Ties go to the device that chooses, then to the lower one.
Heft::Place Heft::best(const Candidate& unit, std::size_t chooser) const {
  const Duration* times = &times_[index(unit.track) * kinds_.size()];
  Place best{chooser, kNever};
  const auto consider = [&](std::size_t device) {
    Instant end = free_at_[device] + times[kind_of_[device]];
    if (end > best.end) return;
    if (copies_) end += copy_time(unit, device);
    const bool tie = end == best.end && best.device != chooser && device < best.device;
    if (end < best.end || tie) best = {device, end};
  };
  consider(chooser);
  // Without copies, of devices alike the one that is free first is best.
  for (std::size_t k = 0; k < kinds_.size(); ++k) {
    if (copies_) {
      std::ranges::for_each(kinds_[k], consider);
    } else {
      consider(first_[k]);
    }
  }
  return best;
}

/// When each device will be free, with what it holds now.
void Heft::foresee() {
  for (std::size_t d = 0; d < free_at_.size(); ++d) {
    free_at_[d] = view_->lane(device_id(d)).free_at;
  }
  for (std::size_t k = 0; k < kinds_.size(); ++k) find_first(k);
}

void Heft::find_first(std::size_t kind) {
  const auto free_at = [this](std::size_t device) { return free_at_[device]; };
  first_[kind] = *std::ranges::min_element(kinds_[kind], {}, free_at);
}

TrackId Heft::pick(const DeviceView& device) {
  TrackId chosen = order_.first(device.id);
  // Where devices are alike, whoever chooses first is as early as any.
  if (chosen != kNoTrack && !(alike_ && !device.buffer)) chosen = first_best_here(device.id);
  if (chosen != kNoTrack) gone(chosen);
  return chosen;
}

TrackId Heft::first_best_here(DeviceId chooser) {
  foresee();
  std::size_t left = 0;
  const TrackId chosen = order_.first_that(chooser, [&](TrackId track) {
    const Place place = best(waiting_[index(track)], index(chooser));
    if (place.device == index(chooser)) return true;
    free_at_[place.device] = place.end;
    find_first(kind_of_[place.device]);
    return ++left == kMostLeft;
  });
  return left == kMostLeft ? kNoTrack : chosen;
}

}  // namespace shardlab
