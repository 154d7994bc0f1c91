#include "sim/simulator.h"

/// Devices that leave and come back.
namespace shardlab {

/// A change comes alone, after all that ends at its instant and what that brings about.
void Simulator::ring() {
  if (wake_ == now_) {
    wake_ = kNever;
    events_.emplace_back(Woken{});
  }
  if (events_.empty()) {
    const Change& change = changes_[next_change_++];
    if (change.leaves) {
      lose(change.device);
      events_.emplace_back(DeviceLost{change.device});
    } else {
      events_.emplace_back(DeviceJoined{change.device});
    }
  }
  set_alarm();
}

/// Nothing of it ends any more, nor what it sends to others.
void Simulator::lose(DeviceId device) {
  const std::size_t count = lanes_.size();
  lane_ends_.clear(index(device));
  if (reported_lane_ == index(device)) reported_lane_ = kNone;
  if (!paces_.empty()) paces_[index(device)].computes = false;
  for (std::size_t link = index(device); link < queues_.size(); link += count) lose_link(link);
}

void Simulator::lose_link(std::size_t link) {
  const TransferId first = queues_[link].first;
  queues_[link] = {};
  if (first == kNoTransfer) return;
  clear_link_end(link);
  if (!contended_) return;
  const Direction direction = passing_[first].direction;
  const std::size_t device = link % lanes_.size();
  pass(device, direction, -1);
  if (fair_links_ && direction != Direction::kPeer) {
    fair_links_->cancel(static_cast<std::uint32_t>(link), device_id(device), direction, now_);
  }
}

}  // namespace shardlab
