#include "sched/driver_view.h"

#include <algorithm>

namespace shardlab {

StateView::Lane DriverView::lane(DeviceId id) const {
  const Driver::Device& device = driver_.devices_[index(id)];
  Lane lane;
  lane.claims = device.claims.size();
  lane.free_at = driver_.now_;
  if (device.lost) lane.free_at = Instant{kNever.time_since_epoch() / 2};
  if (device.running != Driver::kNothing) {
    const Claim& runs = device.claims[device.running];
    lane.running = runs.track;
    lane.unit = runs.unit;
    lane.since = runs.started_at;
    lane.expected_end = runs.started_at + expected_on(driver_.program_, runs.job, runs.unit, id);
    lane.free_at = std::max(lane.free_at, lane.expected_end);
  }
  for (std::size_t slot = 0; slot < device.claims.size(); ++slot) {
    const Claim& claim = device.claims[slot];
    if (slot == device.running) continue;
    lane.free_at += expected_on(driver_.program_, claim.job, claim.unit, id);
  }
  return lane;
}

StateView::Queue DriverView::queue(DeviceId device, Direction direction) const {
  if (!driver_.residency_) return {};
  const Residency::InFlight sum = driver_.residency_->in_flight(device, direction);
  return {sum.transfers, sum.bytes};
}

Bytes DriverView::present(JobId job, std::uint32_t unit, DeviceId device) const {
  return driver_.residency_ ? driver_.residency_->present(job, unit, device) : 0;
}

std::span<const DeviceId> DriverView::holders(JobId job, std::uint32_t unit) const {
  holders_.clear();
  if (driver_.residency_) driver_.residency_->add_holders(job, unit, holders_);
  return holders_;
}

StateView::JobState DriverView::state(JobId job) const {
  using State = Driver::Job::State;
  switch (driver_.jobs_[index(job)].state) {
    case State::kWaiting:
      return JobState::kWaiting;
    case State::kRunning:
    case State::kAsking:
    case State::kKeeping:
    case State::kKept:
      return JobState::kRunning;
    case State::kPausing:
    case State::kPaused:
    case State::kReleased:
    case State::kRestoring:
    case State::kRestored:
      return JobState::kPaused;
    case State::kFlushing:
    case State::kEnded:
      break;
  }
  return JobState::kEnded;
}

Duration DriverView::remaining(TrackId track) const {
  return driver_.ledger_.complete(track) ? Duration{} : driver_.ledger_.candidate(track).remaining;
}

}  // namespace shardlab
