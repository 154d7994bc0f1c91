#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/timeline.h"
#include "policies/homes.h"
#include "sched/id_set.h"
#include "sched/policy.h"

namespace shardlab {

/// Which device shall take each unit, and in which order: what a search changes.
struct Directions {
  struct Unit {
    double rank = 0;              ///< The least goes first.
    DeviceId device = kNoDevice;  ///< kNoDevice: whichever comes first.
  };
  enum class Prefetch : std::uint8_t { kNever, kWhileComputing, kAtOnce };

  std::vector<std::vector<Unit>> tracks;  ///< Per track: its units, minibatch after minibatch.
  bool helps = true;   ///< An idle device of whose units none is ready takes one of another's.
  bool keeps = false;  ///< What changed stays where its job is at home; see policies/homes.h.
  Prefetch prefetch = Prefetch::kWhileComputing;
};

/// The directions of what a run did: its claims in their order. Units that it did not run come last
/// and are anyone's.
Directions directions_of(const Timeline& timeline, const Program& program);

/// Follows directions: of the ready units that are its own, a device takes the one that is due
/// first; what takes priority by its job goes before. Other than an order (policies/replay.h)
/// directions can always be followed: where they contradict what units wait for, or a device is
/// late, others go before.
class Directed final : public Policy {
 public:
  /// Requires: `directions` are of the program that will run, and outlive the policy.
  explicit Directed(const Directions& directions)
      : directions_(directions),
        waiting_(directions.tracks.size()),
        there_(directions.tracks.size()) {}

  void begin(const StateView& view) override;
  void ready(const Candidate& unit) override {
    waiting_[index(unit.track)] = unit;
    there_.insert(index(unit.track));
  }
  void gone(TrackId track) override { there_.erase(index(track)); }
  TrackId pick(const DeviceView& device) override;
  void device_lost(DeviceId device) override { lost_[index(device)] = true; }
  [[nodiscard]] bool lookahead() const override {
    return directions_.prefetch != Directions::Prefetch::kNever;
  }
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const override {
    return directions_.keeps && homes_.keeps(job, device);
  }

 private:
  [[nodiscard]] const Directions::Unit& direction(const Candidate& unit) const;
  [[nodiscard]] bool own(const Candidate& unit, DeviceId device) const;

  const Directions& directions_;
  const StateView* view_ = nullptr;
  std::vector<Track> its_;  ///< Per track.
  std::vector<Candidate> waiting_;
  IdSet there_;             ///< Tracks of which `waiting_` can be picked.
  std::vector<bool> lost_;  ///< Per device.
  Homes homes_;
};

}  // namespace shardlab
