#pragma once

#include <chrono>
#include <vector>

#include "core/cluster.h"
#include "exec/execution.h"
#include "exec/work.h"
#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

/// Lets time pass on one thread. The operating system wakes a sleeper late, by 0.05 ms on an idle
/// machine and by milliseconds on one whose cores are busy (measured). A device would have been
/// done in time: so what follows within kAtOnce ends that much earlier, and lateness does not add
/// up. What lies between two calls, which is the runtime's own work, is never made up for.
///
/// It does not spin: lanes outnumber cores.
class EmulatedLane {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::duration kAtOnce = std::chrono::milliseconds(1);

  /// When `work` that begins at `now` is done; see above.
  [[nodiscard]] Clock::time_point deadline(Clock::time_point now, Duration work) const;
  /// What was due at `deadline` came to its end at `now`.
  void ended(Clock::time_point deadline, Clock::time_point now);
  /// Returns when `work` is done.
  void pass(Duration work);

 private:
  Clock::time_point last_end_{};
  Clock::duration late_{};
};

/// Devices that compute and hold nothing: a unit takes what the profile says of it on its device,
/// and so do a copy by a lane and a step on the host. Copy engines return at once, as their links
/// are paced.
class Emulation final : public Work {
 public:
  /// Requires: both outlive it.
  Emulation(const Program& program, const Cluster& cluster);

  void prepare(DeviceId device, Engine engine) override;
  Pass run(const UnitRun& run) override;
  void copy(const Transfer& transfer) override;
  void step(const Transfer& transfer) override;
  void drop(JobId, ItemIndex, DeviceId) override {}

 private:
  const Program& program_;
  const Cluster& cluster_;
  std::vector<EmulatedLane> lanes_;
  EmulatedLane host_;
};

/// Some device is emulated, so all must be where something runs.
bool is_emulated(const Cluster& cluster);

/// Throws Error where a device is not emulated, as jobs would have no data there, and where one
/// asks for what only a simulation has: links that share a parent, units that copies slow down.
void refuse_what_cannot_be_emulated(const Cluster& cluster);

/// Runs `program`, of any strategy, on emulated devices: no job has losses or weights. Throws Error
/// as execute() and refuse_what_cannot_be_emulated().
RunResult emulate(const Program& program, const Cluster& cluster, Policy& policy,
                  const RunOptions& options);

}  // namespace shardlab
