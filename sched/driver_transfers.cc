#include <utility>

#include "sched/driver.h"

/// How the Driver moves items: link and lane, in the order of the direction.
namespace shardlab {

void Driver::start_requested() {
  while (residency_->has_requests()) {
    for (const Transfer& transfer : residency_->take_requests()) start(transfer);
  }
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

void Driver::start(Transfer transfer) {
  if (free_transfers_.empty()) {
    free_transfers_.push_back(static_cast<TransferId>(transfer_of_.size()));
    if (timeline_ != nullptr) transfers_.emplace_back();
    transfer_of_.emplace_back();
  }
  transfer.id = free_transfers_.back();
  free_transfers_.pop_back();
  transfer.minibatch = ledger_.minibatch(transfer.job);
  transfer.loaded = loaded();
  transfer_of_[transfer.id] = transfer;
  if (timeline_ != nullptr) transfers_[transfer.id] = span_of(transfer);
  ++transfers_in_flight_;
  const bool lane_first =
      transfer.direction == Direction::kDemote && copies_take_lane(transfer.device);
  const bool by_link = transfer.direction == Direction::kPeer || copies_take_link(transfer.device);
  if (!lane_first && by_link) {
    backend_.start_link(transfer);
  } else {
    devices_[index(transfer.device)].lane_copies.push_back(transfer.id);
    touch(index(transfer.device));
  }
}

void Driver::complete(TransferId id) {
  const Transfer& transfer = transfer_of_[id];
  if (timeline_ != nullptr) {
    transfers_[id].done = now_;
    timeline_->copies.push_back(transfers_[id]);
  }
  (transfer.direction == Direction::kPromote  ? outcome_.promoted
   : transfer.direction == Direction::kDemote ? outcome_.demoted
                                              : outcome_.between_devices) += transfer.bytes;
  --transfers_in_flight_;
  residency_->finished(transfer);
  touch(index(transfer.device));
  if (transfer.direction == Direction::kPeer) touch(index(transfer.source));
  free_transfers_.push_back(id);
  for (const TrackId track : ledger_.track_ids(transfer.job)) {
    const Track& state = tracks_[index(track)];
    if (state.claims > 0) touch(index(state.last_claim));  // It may have waited for that.
  }
  end_job_if_flushed(transfer.job);
  end_pausing_if_flushed(transfer.job);
  snapshot_if_flushed(transfer.job);
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
void Driver::clean_up() {
  for (const Residency::Drop& drop : residency_->drops()) {
    backend_.dropped(drop.job, drop.item, drop.device);
  }
  residency_->drops().clear();
  for (const DeviceId device : residency_->roomier()) {
    const auto& claims = devices_[index(device)].claims;
    if (!claims.empty() && !claims.back().reserved) touch(index(device));
  }
  residency_->roomier().clear();
}

}  // namespace shardlab
