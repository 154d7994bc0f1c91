#pragma once

#include "sched/candidate_index.h"

namespace shardlab {

/// LRTF as Hydra's published code has it, not its paper: remaining time is counted in whole
/// minibatches, t (n - b) + t n, with t the time of a minibatch, n the minibatches of the epoch
/// that runs and b those of it that have begun. The epoch that runs so counts a second time, which
/// favours jobs with long epochs. A job is one epoch here.
/// Source: `train_models` in hydra/ModelOrchestrator.py and `get_new_batch` in hydra/ModelTask.py
/// of github.com/knagrecha/hydra. Where it prefetches is lrtf_committed's rule, and not taken over.
class LrtfMinibatch final : public Policy {
 public:
  explicit LrtfMinibatch(std::size_t tracks) : index_(tracks) {}

  void begin(const StateView& view) override {
    for (const JobProgram& job : view.program().jobs) {
      for (const Track& track : tracks_of(job)) {
        shapes_.push_back({track_time(job, track).count(), job.minibatches, track.first});
      }
    }
  }
  void ready(const Candidate& unit) override {
    const Shape& shape = shapes_[index(unit.track)];
    const std::int64_t begun = unit.minibatch + (unit.unit > shape.first ? 1 : 0);
    index_.set(unit, shape.minibatch_time * (2 * shape.minibatches - begun));
  }
  void gone(TrackId track) override { index_.clear(track); }
  TrackId pick(const DeviceView& device) override { return index_.take(device.id); }
  [[nodiscard]] bool lookahead() const override { return true; }

 private:
  struct Shape {
    std::int64_t minibatch_time = 0, minibatches = 0;
    std::uint32_t first = 0;  ///< Unit.
  };
  CandidateIndex index_;
  std::vector<Shape> shapes_;  ///< Per track.
};

}  // namespace shardlab
