#include <algorithm>
#include <cassert>

#include "sched/driver.h"

/// How the Driver claims units whose predecessor still runs, and gives late ones back.
namespace shardlab {

/// A device that is free takes back what it claimed ahead when the producer is late and another
/// unit could run.
void Driver::give_back_late_claims() {
  if (candidates_ == 0 || policy_.patient()) return;
  for (const std::size_t d : touched_) {
    Device& device = devices_[d];
    const bool waits_for_producer =
        !device.claims.empty() && std::none_of(device.claims.begin(), device.claims.end(),
                                               [](const Claim& claim) { return claim.ready; });
    if (waits_for_producer) give_back(device, 0);
  }
}

void Driver::give_back(Device& device, std::size_t slot) {
  const Claim claim = device.claims[slot];
  assert(slot != device.running);
  const auto d = static_cast<std::size_t>(&device - devices_.data());
  if (residency_ && claim.reserved) {
    residency_->release(claim.job, unit(claim.job, claim.unit), device_id(d));
  }
  device.claims.erase(device.claims.begin() + static_cast<std::ptrdiff_t>(slot));
  if (device.running != kNothing && slot < device.running) --device.running;
  --tracks_[index(claim.track)].claims;
  claim_gone(d);
}

bool Driver::claim_ahead(std::size_t device) {
  offered_ahead_.clear();
  offer_ahead(device);
  const TrackId track = candidates_ > 0 ? policy_.pick({device_id(device), now_}) : kNoTrack;
  bool was_ahead = false;
  for (const TrackId other : offered_ahead_) {
    if (other == track) was_ahead = true;
    if (other != track) withdraw(other);
  }
  if (track == kNoTrack) return false;
  --candidates_;
  claim(device, track, !was_ahead);
  return true;
}

void Driver::offer_ahead(std::size_t device) {
  const auto running = [](const Device& d) {
    return d.running == kNothing ? nullptr : &d.claims[d.running];
  };
  const Claim* mine = running(devices_[device]);
  if (mine == nullptr) return;
  const auto expected_end = [&](const Claim& claim) {
    return claim.started_at + unit(claim.job, claim.unit).expected;
  };
  const Instant free_at = expected_end(*mine);
  for (const Device& other : devices_) {
    const Claim* producer = running(other);
    if (producer == nullptr || expected_end(*producer) > free_at) continue;
    const TrackId track = producer->track;
    if (tracks_[index(track)].claims > 1 || !ledger_.has_next(track)) continue;
    if (jobs_[index(producer->job)].failed || !ledger_.unblocked(track, true)) continue;
    offer(ledger_.candidate(track, true));
    offered_ahead_.push_back(track);
  }
}

}  // namespace shardlab
