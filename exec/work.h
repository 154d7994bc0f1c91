#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/ids.h"
#include "sched/backend.h"

namespace shardlab {

/// A device has failed, not the job: it is taken out of the run. The text says why.
class DeviceFailure : public Error {
 public:
  explicit DeviceFailure(const std::string& text, DeviceId failed = kNoDevice)
      : Error(text), device(failed) {}
  DeviceId device;  ///< kNoDevice: the one whose thread it is.
};
/// The device had no memory for the unit.
class OutOfMemory : public Error {
 public:
  explicit OutOfMemory(const std::string& text, bool spoils = false)
      : Error(text), spoilt(spoils) {}
  /// What the unit adds to was added to in part, or what it uses up is gone.
  bool spoilt;
};

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

  /// On each thread of `device`, once, before anything else there. DeviceFailure loses the device,
  /// anything else ends the run.
  virtual void prepare(DeviceId device, Engine engine) = 0;
  /// Once, when all threads are prepared and before anything runs.
  virtual void begin() {}
  /// On the thread of the lane. All that the unit reads is in the device's memory. A throw, or a
  /// loss that is no finite number, must leave everything as it was. DeviceFailure loses the
  /// device, or the one that it names, OutOfMemory has the unit tried again or, where it is spoilt,
  /// its job go back; anything else stops its job, unless that goes back meanwhile.
  virtual Pass run(const UnitRun& run) = 0;
  /// On the thread of the lane or of a copy engine: between host memory and the device's, or two
  /// devices'. Returns when all has arrived; what `steps` is then a gradient, and no version.
  /// Whatever it throws loses the device, or the one that
  /// a DeviceFailure names: what is sent has two, and the thread is the sender's.
  virtual void copy(const Transfer& transfer) = 0;
  /// Of a transfer that `steps`, once it has come: makes the next version of the parameters, and of
  /// their state, in host memory. On a thread that does nothing else. Whatever it throws stops the
  /// job; where the device was lost meanwhile, the job goes back in any case.
  virtual void step(const Transfer&) {}
  /// On any thread, while lanes run; nobody uses that copy any more. `kNoDevice`: of host memory.
  virtual void drop(JobId job, ItemIndex item, DeviceId from) = 0;

  /// Copies a job's parameters and state from host memory, where nothing changes them meanwhile, to
  /// a place of their own. On a thread that does nothing else; never while save() of the job runs.
  /// Where it throws, what was kept before stays, and the job goes on.
  virtual void keep(JobId, std::int64_t /*minibatches*/) {}
  /// Puts back what keep() copied last, or what the run began with. On the thread of keep().
  /// Nothing of the job runs or moves but on lost devices.
  virtual void restore(JobId) {}
  /// For which device the unit that runs on `device` waits now, in its midst; kNoDevice: for none.
  /// Only the other's time counts meanwhile. Any thread.
  [[nodiscard]] virtual DeviceId awaited(DeviceId) const { return kNoDevice; }
  /// The device is lost: what its threads still do must change nothing that others see.
  virtual void lose(DeviceId) {}
  /// Writes what keep() copied to disk. On another thread that does nothing else.
  virtual void save(JobId) {}
  /// Of a job that does no more: writes host memory itself to disk, as it is after so many
  /// minibatches. On the thread of save().
  virtual void save_settled(JobId, std::int64_t /*minibatches*/) {}
};

}  // namespace shardlab
