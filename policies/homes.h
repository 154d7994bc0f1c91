#pragma once

#include <vector>

#include "sched/state_view.h"

namespace shardlab {

/// Which track each device took last, its *home*, and which jobs are worth keeping there: those of
/// which everything that lasts fits beside the largest unit of any job.
class Homes {
 public:
  void begin(const StateView& view);

  void took(DeviceId device, TrackId track) { last_[index(device)] = track; }
  /// kNoTrack: none yet.
  [[nodiscard]] TrackId last(DeviceId device) const { return last_[index(device)]; }
  /// The rule of Policy::keeps(). Not in the last minibatch, whose results are written back anyway.
  /// Nor where copies take no time.
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const;

 private:
  /// All of the job that lasts, and a unit of another, have room on the device.
  [[nodiscard]] bool fits(JobId job, DeviceId device) const;

  const StateView* view_ = nullptr;
  std::vector<TrackId> last_;   ///< Per device.
  std::vector<Bytes> lasting_;  ///< Per job: parameters and state.
  Bytes largest_ = 0;           ///< What a unit needs at most.
  bool copies_cost_ = false;    ///< Time.
};

}  // namespace shardlab
