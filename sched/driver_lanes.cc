#include "sched/driver.h"

/// How the Driver tells what each lane spends its time on. See "Idle time, and why" in
/// docs/design.md.
namespace shardlab {

/// Of a device whose claims or lane may have changed: of several claims the one furthest along says
/// what the lane waits for.
void Driver::note_lane(std::size_t id) {
  const Device& device = devices_[id];
  if (device.lane_busy) {
    clocks_[id].begin(now_);
    return;
  }
  auto waits = LaneClock::Wait::kJob;
  for (const Claim& claim : device.claims) {
    if (!claim.ready) continue;
    waits = claim.reserved ? LaneClock::Wait::kCopy : LaneClock::Wait::kMemory;
    if (claim.reserved) break;
  }
  clocks_[id].wait(waits, now_);
}

/// Until the makespan. Where nothing but computing takes time, no clock is kept: a claim begins at
/// once, and between two nothing was ready.
LaneTime Driver::lane_time(std::size_t id) const {
  if (!plain_) return clocks_[id].time(outcome_.makespan);
  const Device& device = devices_[id];
  LaneTime time;
  time.busy = device.busy;
  time.reducing = device.reducing;
  time.dispatch = device.occupied - device.busy - device.reducing;
  time.tail = outcome_.makespan - device.occupied_since;
  time.waiting_for_job = device.occupied_since.time_since_epoch() - device.occupied;
  return time;
}

}  // namespace shardlab
