#include "planning/direction_changes.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/counter_hash.h"
#include "sched/ledger.h"

namespace shardlab {

DirectionChanges::DirectionChanges(const Program& program, const Cluster& cluster,
                                   std::uint64_t seed)
    : program_(program), devices_(cluster.devices.size()), seed_(seed) {}

void DirectionChanges::look_at(const Timeline& timeline) {
  claims_ = static_cast<double>(timeline.units.size());
  last_.clear();
  if (timeline.units.empty()) return;
  const Ledger ledger(program_);
  const auto track_of = [&](const UnitSpan& span) {
    return index(ledger.track_of(span.job, program_.jobs[index(span.job)].units[span.unit]));
  };
  const UnitSpan& last = timeline.units.back();
  last_.push_back(track_of(last));
  for (const UnitSpan& span : timeline.units) {
    if (span.device == last.device) last_.push_back(track_of(span));
  }
  std::ranges::sort(last_);
  last_.erase(std::ranges::unique(last_).begin(), last_.end());
}

double DirectionChanges::draw() { return unit_interval(counter_hash({seed_, draws_++})); }

std::size_t DirectionChanges::draw(std::size_t below) {
  return counter_hash({seed_, draws_++}) % below;
}

std::size_t DirectionChanges::some_track(const Directions& of) {
  if (!last_.empty() && draw(2) == 0) return last_[draw(last_.size())];
  return draw(of.tracks.size());
}

/// One unit, a few, or all to the end.
DirectionChanges::Stretch DirectionChanges::some_stretch(const Directions& of) {
  const std::size_t track = some_track(of);
  const std::size_t units = of.tracks[track].size();
  const std::size_t first = draw(units);
  const std::size_t left = units - first;
  const std::size_t which = draw(4);
  if (which == 0) return {track, 0, units};
  if (which == 1) return {track, first, units};
  return {track, first, first + (which == 2 ? 1 : 1 + draw(left))};
}

DeviceId DirectionChanges::some_device() {
  const std::size_t which = draw(devices_ + 1);
  return which == devices_ ? kNoDevice : device_id(which);
}

void DirectionChanges::apply(Directions& to) {
  do {
    change_once(to);
  } while (draw(3) == 0);
}

void DirectionChanges::change_once(Directions& to) {
  switch (draw(16)) {
    case 0:
      return change_habit(to);
    case 1:
    case 2:
      return exchange_devices(to);
    case 3:
    case 4:
    case 5:
      return exchange_units(to);
    case 6:
    case 7:
    case 8:
    case 9:
      return move_to_device(to);
    default:
      return move_in_time(to);
  }
}

/// By a few claims as often as by many.
void DirectionChanges::move_in_time(Directions& to) {
  const auto [track, first, end] = some_stretch(to);
  const double most = std::exp2(draw() * std::log2(claims_ + 2));
  const double by = (draw(2) == 0 ? most : -most) + 0.5;
  for (std::size_t u = first; u < end; ++u) to.tracks[track][u].rank += by;
}

void DirectionChanges::move_to_device(Directions& to) {
  const auto [track, first, end] = some_stretch(to);
  const DeviceId device = some_device();
  for (std::size_t u = first; u < end; ++u) to.tracks[track][u].device = device;
}

void DirectionChanges::exchange_units(Directions& to) {
  auto& one = to.tracks[some_track(to)];
  auto& other = to.tracks[draw(to.tracks.size())];
  std::swap(one[draw(one.size())], other[draw(other.size())]);
}

/// What two devices have left from some point on.
void DirectionChanges::exchange_devices(Directions& to) {
  const DeviceId one = device_id(draw(devices_)), other = device_id(draw(devices_));
  const double from = draw() * claims_;
  for (auto& track : to.tracks) {
    for (Directions::Unit& unit : track) {
      if (unit.rank < from) continue;
      if (unit.device == one) {
        unit.device = other;
      } else if (unit.device == other) {
        unit.device = one;
      }
    }
  }
}

void DirectionChanges::change_habit(Directions& to) {
  switch (draw(3)) {
    case 0:
      to.helps = !to.helps;
      return;
    case 1:
      to.keeps = !to.keeps;
      return;
    default:
      to.prefetch = static_cast<Directions::Prefetch>(draw(3));
  }
}

double mean_unit(const Timeline& timeline) {
  double sum = 0;
  for (const UnitSpan& span : timeline.units) sum += seconds(span.to - span.from);
  return sum / static_cast<double>(std::max<std::size_t>(1, timeline.units.size()));
}

}  // namespace shardlab
