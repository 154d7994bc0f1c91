#pragma once

#include <cstdint>
#include <vector>

#include "sched/candidate_index.h"

namespace shardlab {

/// When a slow device shall leave a unit to a faster one. The level of a track is what remains of
/// it, in time of a device of speed 1. The bound of Horvath, Lam and Sethi, "A level algorithm for
/// preemptive scheduling" (1977), is the least T with
///
///   R_j <= S_j T  for j = 1, 2, ... devices, and for all tracks and all devices,
///
/// R_j the sum of the j greatest levels and S_j of the j greatest speeds. A device of speed v, with
/// k faster ones, that takes a track of rank i < k (i have greater levels) for a unit of time p
/// keeps the tracks up to j, i < j <= k, from their j devices: they get (s_j - v) p less than
/// S_j p. While S_j T - R_j is more than that for all these j, nothing is lost. Else the unit
/// waits, if a faster device, busy or not, should be done with it earlier.
/// Source: own, after the level algorithm: of it only the order of levels can be kept where units
/// cannot be interrupted.
class LevelHold {
 public:
  void begin(const StateView& view);

  /// Devices differ in speed. Without that nothing is held, and nothing below need be called.
  [[nodiscard]] bool mixed() const { return mixed_; }
  /// A unit was offered.
  void offered(const Candidate& unit) {
    level_[index(unit.track)] = unit.remaining.count();
    waiting_[index(unit.track)] = unit;
  }
  /// No more comes of the job.
  void ended(JobId job);

  /// `chosen`, or after it in `order` the first that the device does not have to leave to others;
  /// kNoTrack: it must leave all. `order` is as it was. `key` of a Candidate is that in `order`.
  template <typename KeyOf>
  TrackId first_not_held(const DeviceView& device, TrackId chosen, CandidateIndex& order,
                         const KeyOf& key) {
    chooses(device);
    left_.clear();
    while (chosen != kNoTrack && holds(waiting_[index(chosen)])) {
      left_.push_back(chosen);
      order.clear(chosen);
      chosen = order.first(device.id).track;
    }
    for (const TrackId track : left_) {
      order.set(waiting_[index(track)], key(waiting_[index(track)]));
    }
    return chosen;
  }

 private:
  struct Speed {
    double own = 1;          ///< Of a device; that of class 0 is 1.
    std::size_t faster = 0;  ///< Devices.
  };
  void measure_speeds();
  void refresh();
  void chooses(const DeviceView& device);
  /// The device that chooses shall leave the unit to others. A faster device waits for one unit.
  bool holds(const Candidate& unit);
  [[nodiscard]] bool loses(std::size_t rank, double time) const;
  bool faster_is_earlier(const Candidate& unit, Instant end);
  [[nodiscard]] Duration time(const Candidate& unit, DeviceId device) const {
    return expected_on(view_->program(), unit.job, unit.unit, device);
  }

  const StateView* view_ = nullptr;
  bool mixed_ = false;
  std::vector<Speed> speed_;                  ///< Per device.
  std::vector<DeviceId> by_speed_;            ///< The fastest first.
  std::vector<double> sum_of_speeds_;         ///< Of the first j + 1 of them.
  std::vector<std::int64_t> level_;           ///< Per track.
  std::vector<Candidate> waiting_;            ///< Per track, what was offered last.
  std::vector<std::vector<TrackId>> tracks_;  ///< Per job.

  std::vector<std::int64_t> highest_;  ///< Levels, as many as there are devices.
  std::vector<double> slack_;          ///< S_j T - R_j, of the first j + 1.
  std::size_t fresh_for_ = 0;          ///< Choices until levels are sorted again.

  DeviceId chooser_{};
  Instant free_at_{};
  std::vector<bool> awaited_;  ///< Per device, in this choice.
  std::vector<TrackId> left_;  ///< In this choice.
};

}  // namespace shardlab
