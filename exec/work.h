#pragma once

#include <cstdint>

#include "sched/backend.h"

namespace shardlab {

/// What lanes and copy engines do with data: the part of the executor that knows tensors. The
/// runtime around it (threads, links, events) knows none, so it is tested with other work.
class Work {
 public:
  virtual ~Work() = default;

  struct Pass {
    Duration recompute{};
    bool has_loss = false;
    double loss = 0;
  };
  /// Threads of a device: its lane, with copy engines one per link that it has, and one that sends
  /// straight to other devices.
  enum class Engine : std::uint8_t { kCompute, kPromote, kDemote, kSend };

  /// On each thread of `device`, once, before anything else there.
  virtual void prepare(DeviceId device, Engine engine) = 0;
  /// Once, when all threads are prepared and before anything runs.
  virtual void begin() {}
  /// On the thread of the lane. All that the unit reads is in the device's memory. A throw, or a
  /// loss that is no finite number, must leave everything as it was.
  virtual Pass run(const UnitRun& run) = 0;
  /// On the thread of the lane or of a copy engine: between host memory and the device's, or two
  /// devices'. Returns when all has arrived.
  virtual void copy(const Transfer& transfer) = 0;
  /// On any thread, while lanes run; nobody uses that copy any more. `kNoDevice`: of host memory.
  virtual void drop(JobId job, ItemIndex item, DeviceId from) = 0;
};

}  // namespace shardlab
