#include "sched/driver.h"

/// How the Driver offers units to the policy, claims what it picks, and starts what is claimed.
namespace shardlab {

void Driver::offer(Candidate&& unit) {
  Job& state = jobs_[index(unit.job)];
  if (state.bound != kNoDevice) unit.bound = state.bound;
  unit.since = now_;
  ++candidates_;
  policy_.ready(unit);
}

void Driver::withdraw(TrackId track) {
  --candidates_;
  policy_.gone(track);
}

/// Of a device whose claims just became fewer.
void Driver::claim_gone(std::size_t id) {
  Device& device = devices_[id];
  if (device.claims.empty()) {
    device.occupied += now_ - device.occupied_since;
    device.occupied_since = now_;
    buffering_.erase(id);
    empty_.insert(id);
  } else {
    buffering_.insert(id);
  }
  note_late(id);
  touch(id);
}

void Driver::fill(bool buffers) {
  if (buffers) ++turn_.pass;
  const IdSet& hungry = buffers ? buffering_ : empty_;
  const bool ahead = buffers && looks_ahead_;
  if (hungry.empty()) return;
  for (std::size_t d = hungry.next(0); d != IdSet::kEnd; d = hungry.next(d + 1)) {
    if (candidates_ == 0 && !ahead) return;
    do {
      if (!claim_one(d, buffers, ahead)) break;
    } while (buffers && hungry.contains(d));
    if (hungry.empty()) return;
  }
}

bool Driver::claim_one(std::size_t device, bool buffer, bool ahead) {
  if (ahead) return claim_ahead(device);
  const TrackId track = choose(device, buffer);
  if (track == kNoTrack) return false;
  claim(device, track, /*ready=*/true);
  return true;
}

void Driver::claim(std::size_t id, TrackId track, bool ready) {
  Device& device = devices_[id];
  if (device.claims.empty()) device.occupied_since = now_;
  add_claim(id, track, ready);
  empty_.erase(id);
  if (device.claims.full()) {
    buffering_.erase(id);
  } else {
    buffering_.insert(id);
  }
  note_late(id);
  touch(id);
}

Claim& Driver::add_claim(std::size_t id, TrackId track, bool ready) {
  // In place, here and elsewhere on this path: copying what was just written stalls the core.
  Claim& claim = devices_[id].claims.add();
  claim.track = track;
  claim.job = ledger_.job(track);
  claim.ready = ready;
  claim.reserved = false;
  claim.ahead = !ready;
  if (timeline_ != nullptr) {
    claim.turn = turn_;
    claim.number = claims_made_++;
    claim.claimed_at = claim.ready_at = now_;
  }
  if (ready) {
    claim.unit = ledger_.unit(track);
    claim.minibatch = ledger_.minibatch(track);
  } else {
    const Candidate next = ledger_.candidate(track, /*ahead=*/true);
    claim.unit = next.unit;
    claim.minibatch = next.minibatch;
  }
  tracks_[index(track)].last_claim = device_id(id);
  ++tracks_[index(track)].claims;
  return claim;
}

void Driver::start_claimed(std::size_t id) {
  if (interrupted_) return;
  for (Claim& claim : devices_[id].claims) {
    if (!claim.reserved || !claim.ready) continue;
    if (residency_) {
      if (!residency_->arrived(claim.reservation)) continue;
      residency_->begin(claim.reservation);
      clean_up();
    }
    run(id, claim);
    return;
  }
}

void Driver::run(std::size_t id, Claim& claim) {
  Device& device = devices_[id];
  device.running = static_cast<std::uint32_t>(&claim - device.claims.begin());
  claim.started_at = now_;
  device.lane_busy = true;
  started_ = true;
  ++running_units_;
  Job& job = jobs_[index(claim.job)];
  ++job.running;
  backend_.start_unit(
      {claim.job, claim.unit, claim.minibatch, device_id(id), job.attempt, loaded()});
}

}  // namespace shardlab
