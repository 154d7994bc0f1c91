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
  group_devices();
  times_.resize(waiting_.size() * kinds_.size());
  reads_.resize(waiting_.size());
  copy_times_.resize(waiting_.size() * links_.size());
  free_at_.resize(kind_of_.size());
  first_.resize(kinds_.size());
}

void Heft::group_devices() {
  const std::vector<std::uint16_t>& class_of = view_->program().class_of;
  for (std::size_t d = 0; d < view_->cluster().devices.size(); ++d) {
    const auto same = [&](const std::vector<std::size_t>& kind) {
      return class_of.empty() || class_of[kind.front()] == class_of[d];
    };
    const auto kind = std::ranges::find_if(kinds_, same);
    kind_of_.push_back(static_cast<std::size_t>(kind - kinds_.begin()));
    if (kind == kinds_.end()) kinds_.emplace_back();
    kinds_[kind_of_.back()].push_back(d);
    if (!copies_) continue;
    const LinkSpec& link = view_->cluster().devices[d].link;
    const auto same_link = [&](const LinkSpec& other) {
      return other.latency == link.latency && other.bytes_per_second == link.bytes_per_second;
    };
    const auto known = std::ranges::find_if(links_, same_link);
    link_of_.push_back(static_cast<std::size_t>(known - links_.begin()));
    if (known == links_.end()) links_.push_back(link);
  }
}

void Heft::ready(const Candidate& unit) {
  const std::size_t track = index(unit.track);
  waiting_[track] = {unit.job, unit.unit, unit.bound};
  for (std::size_t k = 0; k < kinds_.size(); ++k) {
    times_[track * kinds_.size() + k] =
        expected_on(view_->program(), unit.job, unit.unit, device_id(kinds_[k].front()));
  }
  if (copies_) {
    const JobProgram& job = view_->program().jobs[index(unit.job)];
    Bytes reads = 0;
    for (const ItemIndex item : job.units[unit.unit].reads) reads += job.items[item].bytes;
    reads_[track] = reads;
    for (std::size_t l = 0; l < links_.size(); ++l) {
      copy_times_[track * links_.size() + l] = transfer_time(reads, links_[l]);
    }
  }
  order_.set(unit, unit.remaining.count());
}

/// Ties go to the device that chooses, then to the lower one.
Heft::Place Heft::best(TrackId track, std::size_t chooser) const {
  const Duration* times = &times_[index(track) * kinds_.size()];
  Place best{chooser, free_at_[chooser] + times[kind_of_[chooser]]};
  // Of devices alike the one that is free first is best.
  for (std::size_t k = 0; k < kinds_.size(); ++k) {
    const Instant end = free_at_[first_[k]] + times[k];
    const bool tie = end == best.end && best.device != chooser && first_[k] < best.device;
    if (end < best.end || tie) best = {first_[k], end};
  }
  return best;
}

/// The same where it matters what a device has of the unit: most have nothing.
Heft::Place Heft::best_with_copies(TrackId track, std::size_t chooser) const {
  const Duration* times = &times_[index(track) * kinds_.size()];
  const Duration* copy_times = &copy_times_[index(track) * links_.size()];
  const auto end_with_nothing = [&](std::size_t d) {
    return free_at_[d] + times[kind_of_[d]] + copy_times[link_of_[d]];
  };
  Place best{chooser, end_with_nothing(chooser)};
  for (std::size_t d = 0; d < free_at_.size(); ++d) {
    const Instant end = end_with_nothing(d);
    if (end < best.end) best = {d, end};
  }
  const Waiting unit = waiting_[index(track)];
  for (const DeviceId holder : view_->holders(unit.job, unit.unit)) {
    const std::size_t d = index(holder);
    const Bytes missing = reads_[index(track)] - view_->present(unit.job, unit.unit, holder);
    const Instant end =
        free_at_[d] + times[kind_of_[d]] + transfer_time(missing, links_[link_of_[d]]);
    const bool wins_tie = best.device != chooser && (d == chooser || d < best.device);
    if (end < best.end || (end == best.end && wins_tie)) best = {d, end};
  }
  return best;
}

/// When each device will be free, with what it holds now.
void Heft::foresee() {
  for (std::size_t d = 0; d < free_at_.size(); ++d) {
    free_at_[d] = view_->lane(device_id(d)).free_at;
  }
  for (std::size_t k = 0; k < kinds_.size() && !copies_; ++k) find_first(k);
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
    const Place place =
        copies_ ? best_with_copies(track, index(chooser)) : best(track, index(chooser));
    if (place.device == index(chooser)) return true;
    free_at_[place.device] = place.end;
    if (!copies_) find_first(kind_of_[place.device]);
    return ++left == kMostLeft;
  });
  return left == kMostLeft ? kNoTrack : chosen;
}

}  // namespace shardlab
