#include <algorithm>

#include "sched/driver.h"

/// How the Driver moves items: link and lane, in the order of the direction.
namespace shardlab {

[[gnu::flatten]] void Driver::take_requests() {
  const bool loaded = this->loaded();
  for (const TransferId id : residency_->requests()) start(residency_->transfer(id), loaded);
  residency_->requests_taken();
  clean_up();
}

/// Of a transfer that is asked for now.
CopySpan Driver::span_of(const Transfer& transfer) const {
  const Item& item = program_.jobs[index(transfer.job)].items[transfer.item];
  CopySpan span;
  span.job = transfer.job;
  span.item = item.kind;
  span.shard = item.shard;
  span.microbatch = item.microbatch;
  span.replica = item.replica;
  span.minibatch = transfer.minibatch;
  span.device = transfer.device;
  span.direction = transfer.direction;
  span.source = transfer.source;
  span.bytes = transfer.bytes;
  span.asked = span.link_from = span.link_to = span.lane_from = span.lane_to = span.done = now_;
  return span;
}

void Driver::start(Transfer& transfer, bool loaded) {
  transfer.minibatch = ledger_.minibatch(transfer.job);
  transfer.loaded = loaded;
  transfer.lane_last =
      transfer.direction == Direction::kPromote && copies_take_lane(transfer.device);
  if (timeline_ != nullptr) {
    transfers_.resize(std::max<std::size_t>(transfers_.size(), transfer.id + 1));
    transfers_[transfer.id] = span_of(transfer);
  }
  ++transfers_in_flight_;
  Device& device = devices_[index(transfer.device)];
  if (device.link_first[static_cast<std::size_t>(transfer.direction)]) {
    backend_.start_link(transfer);
  } else {
    device.lane_copies.push_back(transfer.id);
    touch(index(transfer.device));
  }
}

/// A copy has come over its link. Returns whether nothing can have waited for it but claims: its
/// job runs, and no unit is to be tried again.
bool Driver::pass(const LinkDone& event) {
  const Transfer& transfer = residency_->transfer(event.transfer);
  if (timeline_ != nullptr) {
    transfers_[event.transfer].link_from = event.from;
    transfers_[event.transfer].link_to = event.to;
  }
  if (!transfer.lane_last) return complete(event.transfer);
  devices_[index(transfer.device)].lane_copies.push_back(event.transfer);
  touch(index(transfer.device));
  return true;
}

bool Driver::complete(TransferId id) {
  const Transfer& transfer = residency_->transfer(id);
  if (timeline_ != nullptr) {
    transfers_[id].done = now_;
    timeline_->copies.push_back(transfers_[id]);
  }
  moved_[static_cast<std::size_t>(transfer.direction)] += transfer.bytes;
  --transfers_in_flight_;
  const JobId job = transfer.job;
  const DeviceId device = transfer.device;
  look_again(device);
  if (transfer.direction == Direction::kPeer) look_again(transfer.source);
  residency_->finished(id);
  for (const TrackId track : ledger_.track_ids(job)) {
    const Track& state = tracks_[index(track)];
    // It may have waited for that.
    if (state.claims > 0 && state.last_claim != device) look_again(state.last_claim);
  }
  const bool retries = !retries_.empty();
  if (retries) retry_units();
  if (jobs_[index(job)].state == Job::State::kRunning) return !retries;
  settle_state(job);
  return false;
}

/// Devices whose reservation is another than at the last instant.
void Driver::sample_memory() {
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    const Bytes now = residency_->used(device_id(d));
    if (now == devices_[d].sampled) continue;
    devices_[d].sampled = now;
    timeline_->memory.push_back({now_, device_id(d), now});
  }
}

/// Tells the backend what was dropped and looks again at devices where there is room now.
void Driver::take_drops() {
  for (const Residency::Drop& drop : residency_->drops()) {
    backend_.dropped(drop.job, drop.item, drop.device);
  }
  residency_->drops().clear();
  residency_->take_roomier([&](DeviceId device) {
    const auto& claims = devices_[index(device)].claims;
    if (!claims.empty() && !claims.back().reserved) touch(index(device));
  });
}

}  // namespace shardlab
