#pragma once

#include <utility>
#include <vector>

#include "policies/homes.h"
#include "sched/candidate_index.h"

namespace shardlab {

/// Task parallelism, longest processing time first: a device that is free takes the longest job
/// that has not begun, and runs it alone to its end; what it prefetches is the same job's next
/// unit, or the next job's first once it runs the last. Units that are bound go where they are
/// bound, longest remaining time first.
/// Source: Graham, "Bounds on multiprocessing timing anomalies" (1969).
class TaskParallel final : public Policy {
 public:
  explicit TaskParallel(std::size_t tracks)
      : unbegun_(tracks), waits_(tracks), begun_(tracks), last_unit_(tracks), bound_(tracks) {}

  void begin(const StateView& view) override;
  void ready(const Candidate& unit) override;
  void gone(TrackId track) override;
  TrackId pick(const DeviceView& device) override;
  void device_lost(DeviceId device) override {
    const TrackId own = std::exchange(own_[index(device)], kNoTrack);
    if (own != kNoTrack) orphans_.push_back(own);
  }
  [[nodiscard]] bool lookahead() const override { return true; }
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const override {
    return homes_.keeps(job, device);
  }

 private:
  [[nodiscard]] bool runs_to_its_end(TrackId track) const;
  void begin_or_end(DeviceId device, TrackId track);

  const StateView* view_ = nullptr;
  CandidateIndex unbegun_;        ///< And units that are bound.
  std::vector<bool> waits_;       ///< Per track: a unit of a job that began can be picked.
  std::vector<bool> begun_;       ///< Per track: some device runs it.
  std::vector<bool> last_unit_;   ///< Per track: what can be picked, or was, is its last.
  std::vector<bool> bound_;       ///< Per track: the same.
  std::vector<TrackId> own_;      ///< Per device: what it runs until its last unit is picked.
  std::vector<TrackId> orphans_;  ///< What a lost device ran.
  Homes homes_;
};

}  // namespace shardlab
