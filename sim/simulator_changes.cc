#include "sim/simulator.h"

/// Devices that leave and come back; the disk; steps on the host.
namespace shardlab {

/// A change comes alone, after all that ends at its instant and what that brings about.
void Simulator::ring() {
  if (steps_) {  // Those that had ended when this round began.
    const auto ended = steps_->ended();
    events_.insert(events_.end(), ended.begin(), ended.end());
  }
  if (wake_ == now_) {
    wake_ = kNever;
    events_.emplace_back(Woken{});
  }
  const bool changes = next_change_ < changes_.size() && changes_[next_change_].at <= now_;
  if (changes && events_.empty()) {
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
  if (disk_) disk_->lose(device);
  if (steps_) steps_->lose(device);
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

/// What it has ready enters its link.
void Simulator::use_disk() {
  for (const Transfer& transfer : disk_->ready(now_)) enter_link(transfer);
  set_alarm();
}

/// The first copy there has passed. One that a lane then copies needs the host's memory until that
/// has ended.
void Simulator::leave_link(std::size_t link) {
  const TransferId id = queues_[link].first;
  const Direction direction = passing_[id].direction;
  const std::size_t device = link % lanes_.size();
  pass(device, direction, -1);
  const bool by_lane =
      direction == Direction::kPromote && cluster_.devices[device].copy_engines == 0;
  if (disk_ && direction != Direction::kPeer && !by_lane) disk_->finished(id);
}

/// What has passed is a gradient with which the host steps now.
bool Simulator::start_step(std::size_t link) {
  const TransferId id = queues_[link].first;
  if (!steps_ || !steps_->expects(id)) return false;
  steps_->start(id, passing_[id].done.from, now_);
  set_alarm();
  return true;
}

bool Simulator::restore(JobId job, std::int64_t /*minibatches*/) {
  if (disk_) disk_->restore(job, program_.jobs[index(job)]);
  return true;
}

}  // namespace shardlab
