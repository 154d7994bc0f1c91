#include <utility>

#include "sched/driver.h"

/// How the Driver moves items: link and lane, in the order of the direction.
namespace shardlab {

void Driver::start_requested() {
  if (!residency_) return;
  while (residency_->has_requests()) {
    for (const Transfer& transfer : residency_->take_requests()) start(transfer);
  }
  clean_up();
}

void Driver::start(Transfer transfer) {
  if (free_transfers_.empty()) {
    free_transfers_.push_back(static_cast<TransferId>(transfers_.size()));
    transfers_.emplace_back();
    transfer_of_.emplace_back();
  }
  transfer.id = free_transfers_.back();
  free_transfers_.pop_back();
  transfer.minibatch = ledger_.minibatch(transfer.job);
  transfer.loaded = loaded();
  transfer_of_[transfer.id] = transfer;
  const Item& item = program_.jobs[index(transfer.job)].items[transfer.item];
  transfers_[transfer.id] = {transfer.job,
                             item.kind,
                             item.shard,
                             transfer.minibatch,
                             transfer.device,
                             transfer.direction,
                             transfer.bytes,
                             now_,
                             now_,
                             now_,
                             now_,
                             now_,
                             now_,
                             item.microbatch,
                             item.replica,
                             transfer.source};
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
  transfers_[id].done = now_;
  if (timeline_ != nullptr) timeline_->copies.push_back(transfers_[id]);
  (transfer.direction == Direction::kPromote  ? outcome_.promoted
   : transfer.direction == Direction::kDemote ? outcome_.demoted
                                              : outcome_.between_devices) += transfer.bytes;
  --transfers_in_flight_;
  residency_->finished(transfer);
  touch(index(transfer.device));
  if (transfer.direction == Direction::kPeer) touch(index(transfer.source));
  free_transfers_.push_back(id);
  const std::size_t first = index(ledger_.first_track(transfer.job));
  for (std::size_t t = first; t < first + ledger_.tracks(transfer.job); ++t) {
    if (tracks_[t].claims > 0) touch(index(tracks_[t].last_claim));  // It may have waited for that.
  }
  end_job_if_flushed(transfer.job);
  admit_waiting();  // What moved may have made room.
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
  if (!residency_) return;
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
