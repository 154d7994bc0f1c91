#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/cluster.h"
#include "core/timeline.h"
#include "planning/directed.h"

namespace shardlab {

/// The changes that a search makes to directions: see planning/search.h.
class DirectionChanges {
 public:
  DirectionChanges(const Program& program, const Cluster& cluster, std::uint64_t seed);

  /// From now on it is this run that is changed. Its last tracks are changed most.
  void look_at(const Timeline& timeline);

  /// One to four changes.
  void apply(Directions& to);
  /// A number in (0, 1].
  double draw();

 private:
  /// Units of one track, from `first` up to `end`.
  struct Stretch {
    std::size_t track = 0, first = 0, end = 0;
  };
  std::size_t draw(std::size_t below);
  std::size_t some_track(const Directions& of);
  Stretch some_stretch(const Directions& of);
  DeviceId some_device();
  void change_once(Directions& to);
  void move_in_time(Directions& to);
  void move_to_device(Directions& to);
  void exchange_units(Directions& to);
  void exchange_devices(Directions& to);
  void change_habit(Directions& to);

  const Program& program_;
  std::size_t devices_;
  std::uint64_t seed_, draws_ = 0;
  double claims_ = 0;              ///< In the run.
  std::vector<std::size_t> last_;  ///< Tracks that end last, and those on the devices that do.
};

/// Of what ran, in seconds; 0 where nothing did.
double mean_unit(const Timeline& timeline);

}  // namespace shardlab
