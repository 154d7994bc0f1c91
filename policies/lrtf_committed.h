#pragma once

#include <vector>

#include "sched/candidate_index.h"

namespace shardlab {

/// LRTF that binds what it prefetches early: when a device starts a unit it claims the next one at
/// once, the longest of the jobs that wait and the job that it runs itself, and never gives it
/// back. Jobs that run elsewhere, and will be ready in time, are not looked at: with one job more
/// than devices one device does the work of two.
/// Source: `train_models` in hydra/ModelOrchestrator.py of github.com/knagrecha/hydra (its
/// `cached_tasks`).
class LrtfCommitted final : public Policy {
 public:
  explicit LrtfCommitted(std::size_t tracks) : index_(tracks), ahead_(tracks) {}

  void begin(const StateView& view) override { view_ = &view; }
  void ready(const Candidate& unit) override {
    if (unit.ahead) {
      ahead_[index(unit.track)] = {unit.remaining, unit.bound};
    } else {
      index_.set(unit, unit.remaining.count());
    }
  }
  void gone(TrackId track) override {
    if (ahead_[index(track)].offered()) {
      ahead_[index(track)] = {};
    } else {
      index_.clear(track);
    }
  }
  TrackId pick(const DeviceView& device) override {
    const TrackId own = device.buffer ? view_->lane(device.id).running : kNoTrack;
    if (own != kNoTrack && ahead_[index(own)].offered() &&
        !ahead_[index(own)].elsewhere(device.id) &&
        ahead_[index(own)].remaining.count() > index_.first(device.id).key) {
      ahead_[index(own)] = {};
      return own;
    }
    return index_.take(device.id);
  }
  [[nodiscard]] bool lookahead() const override { return true; }
  [[nodiscard]] bool patient(TrackId) const override { return true; }

 private:
  /// The next unit of a track whose unit runs.
  struct Ahead {
    Duration remaining{-1};
    DeviceId bound = kNoDevice;
    [[nodiscard]] bool offered() const { return remaining >= Duration{}; }
    [[nodiscard]] bool elsewhere(DeviceId device) const {
      return bound != kNoDevice && bound != device;
    }
  };
  const StateView* view_ = nullptr;
  CandidateIndex index_;  ///< Of units that are ready.
  std::vector<Ahead> ahead_;
};

}  // namespace shardlab
