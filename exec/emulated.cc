#include "exec/emulated.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>
#include <string>
#include <sys/prctl.h>
#include <utility>

#include "core/error.h"
#include "sched/link.h"

namespace shardlab {
namespace {

static_assert(std::is_same_v<EmulatedLane::Clock::duration, std::chrono::nanoseconds>);

/// The standard's clock is CLOCK_MONOTONIC, but its sleep is relative.
void sleep_until(EmulatedLane::Clock::time_point instant) {
  const auto since_boot = instant.time_since_epoch();
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  const timespec until{whole.count(), (since_boot - whole).count()};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

/// The kernel may otherwise wake this thread 50 us late, to save wake-ups.
void wake_in_time() { prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); }

bool emulated(const DeviceSpec& device) { return device.kind == kEmulated; }

void refuse_what_is_only_simulated(const DeviceSpec& device) {
  if (!emulated(device)) {
    throw Error("device " + device.name + ": kind: is \"" + device.kind +
                "\" where other devices are emulated; jobs train on all of them or on none");
  }
  if (device.parent != kNoSwitch) {
    throw Error("device " + device.name +
                ": parent: emulated devices cannot share links; simulate it, or take it out");
  }
  if (device.slow_down_promote != 1 || device.slow_down_demote != 1) {
    throw Error("device " + device.name +
                ": slow_down: copies do not slow emulated devices; simulate it, or take it out");
  }
}

}  // namespace

EmulatedLane::Clock::time_point EmulatedLane::deadline(Clock::time_point now, Duration work) const {
  return now + work - (now - last_end_ < kAtOnce ? late_ : Clock::duration{});
}

void EmulatedLane::ended(Clock::time_point deadline, Clock::time_point now) {
  last_end_ = now;
  late_ = now - deadline;
}

void EmulatedLane::pass(Duration work) {
  const Clock::time_point due = deadline(Clock::now(), work);
  if (Clock::now() < due) sleep_until(due);
  ended(due, Clock::now());
}

Emulation::Emulation(const Program& program, const Cluster& cluster)
    : program_(program), cluster_(cluster), lanes_(cluster.devices.size()) {}

void Emulation::prepare(DeviceId, Engine) { wake_in_time(); }

Work::Pass Emulation::run(const UnitRun& run) {
  const std::size_t device = index(run.device);
  const std::size_t which = program_.class_of.empty() ? 0 : program_.class_of[device];
  const UnitTimes times = times_of(program_, which, run.job, run.unit);
  const UnitCost& cost = run.loaded ? times.loaded : times.alone;
  lanes_[device].pass(cost.total);
  return {.recompute = cost.recompute};
}

void Emulation::copy(const Transfer& transfer) {
  const std::size_t device = index(transfer.device);
  const bool by_lane = cluster_.devices[device].copy_engines == 0;
  if (!by_lane || transfer.direction == Direction::kPeer) return;
  lanes_[device].pass(
      transfer_time(transfer.bytes, transfer.loaded ? program_.copy_loaded : program_.copy_alone));
}

void Emulation::step(const Transfer& transfer) {
  wake_in_time();
  host_.pass(host_step(program_.jobs[index(transfer.job)], transfer.item));
}

bool is_emulated(const Cluster& cluster) { return std::ranges::any_of(cluster.devices, emulated); }

void refuse_what_cannot_be_emulated(const Cluster& cluster) {
  std::ranges::for_each(cluster.devices, refuse_what_is_only_simulated);
}

RunResult emulate(const Program& program, const Cluster& cluster, Policy& policy,
                  const RunOptions& options) {
  refuse_what_cannot_be_emulated(cluster);
  refuse_what_cannot_run(program, cluster);
  auto emulation = std::make_shared<Emulation>(program, cluster);
  Observer observer(program, options);
  if (options.begun) options.begun();
  return execute(program, cluster, policy, std::move(emulation), observer, options);
}

}  // namespace shardlab
