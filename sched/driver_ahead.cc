#include <algorithm>
#include <cassert>

#include "sched/driver.h"

/// How the Driver claims units whose predecessor still runs, and gives late ones back.
namespace shardlab {

/// A device that is free takes back what it claimed ahead when the producer is late and another
/// unit could run.
void Driver::give_back_late_claims() {
  if (late_.empty() || candidates_ == 0) return;
  for (std::size_t d = late_.next(0); d != IdSet::kEnd; d = late_.next(d + 1)) {
    Device& device = devices_[d];
    if (!policy_.patient(device.claims.front().track)) give_back(device, 0);
  }
}

/// Of a device whose claims have changed.
void Driver::note_late(std::size_t id) {
  if (most_slots_ == 1) return;  // What is claimed is ready.
  const auto& claims = devices_[id].claims;
  const bool late = !claims.empty() && std::ranges::none_of(claims, &Claim::ready);
  late ? late_.insert(id) : late_.erase(id);
}

void Driver::give_back(Device& device, std::size_t slot) {
  const Claim claim = device.claims[slot];
  assert(slot != device.running);
  const auto d = static_cast<std::size_t>(&device - devices_.data());
  if (residency_ && claim.reserved) residency_->release(claim.reservation);
  if (timeline_ != nullptr) {
    timeline_->given_back.push_back({claim.job, claim.unit, claim.minibatch, device_id(d),
                                     claim.number, claim.claimed_at, claim.turn});
  }
  device.claims.erase(slot);
  if (device.running != kNothing && slot < device.running) --device.running;
  --tracks_[index(claim.track)].claims;
  claim_gone(d);
}

bool Driver::claim_ahead(std::size_t device) {
  offered_ahead_.clear();
  offer_ahead(device);
  const TrackId track = choose(device, /*buffer=*/true);
  bool was_ahead = false;
  for (const TrackId other : offered_ahead_) {
    if (other == track) was_ahead = true;
    if (other != track) withdraw(other);
  }
  if (track == kNoTrack) return false;
  claim(device, track, !was_ahead);
  return true;
}

void Driver::offer_ahead(std::size_t device) {
  const auto running = [](const Device& d) {
    return d.running == kNothing ? nullptr : &d.claims[d.running];
  };
  const Claim* mine = running(devices_[device]);
  if (mine == nullptr) return;
  const auto expected_end = [&](const Claim& claim, const Device& on) {
    const auto d = static_cast<std::size_t>(&on - devices_.data());
    return claim.started_at + expected_on(program_, claim.job, claim.unit, device_id(d));
  };
  const Instant free_at = expected_end(*mine, devices_[device]);
  for (const Device& other : devices_) {
    const Claim* producer = running(other);
    if (producer == nullptr || expected_end(*producer, other) > free_at) continue;
    const TrackId track = producer->track;
    if (tracks_[index(track)].claims > 1 || !ledger_.has_next(track)) continue;
    if (jobs_[index(producer->job)].failed || !ledger_.unblocked(track, true)) continue;
    offer(ledger_.candidate(track, true));
    offered_ahead_.push_back(track);
  }
}

}  // namespace shardlab
