#pragma once

#include "sched/backend.h"

namespace shardlab {

/// What lanes do with data: the part of the executor that knows tensors. The runtime around it
/// (threads, links, events) knows none, so it is tested with other work.
class Work {
 public:
  virtual ~Work() = default;

  struct Pass {
    Duration recompute{};
    bool has_loss = false;
    double loss = 0;
  };
  /// On the thread of lane `device`, once, before anything else there.
  virtual void prepare(DeviceId device) = 0;
  /// On the thread of the lane. All that the unit reads is in the device's memory. A throw, or a
  /// loss that is no finite number, must leave everything as it was.
  virtual Pass run(const UnitRun& run) = 0;
  /// On the thread of the lane: between host memory and the device's.
  virtual void copy(const Transfer& transfer) = 0;
  /// On any thread, while lanes run; nobody uses that copy any more. `kNoDevice`: of host memory.
  virtual void drop(JobId job, ItemIndex item, DeviceId from) = 0;
};

}  // namespace shardlab
