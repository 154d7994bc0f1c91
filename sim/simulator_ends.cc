#include <algorithm>
#include <utility>

#include "sim/simulator.h"

/// Links and their queues, and what ends next.
namespace shardlab {

/// Of the first in its queue: it was just asked for, or the one before it just ended. Returns
/// whether its end is known.
inline bool Simulator::begin_passage(std::size_t link) {
  if (contended_ && begin_contended(link)) return false;
  set_link_end(link, passing_[queues_[link].first].done.to);
  return true;
}

/// Returns whether there are more in the queue.
inline bool Simulator::end_passage(std::size_t link) {
  Queue& queue = queues_[link];
  const Passing& first = passing_[queue.first];
  if (contended_ && start_step(link)) {
    events_.emplace_back(
        Woken{});  // A round as others', so that their numbers do not depend on it.
  } else {
    events_.emplace_back(std::in_place_type<LinkDone>, queue.first, first.done.from, now_);
  }
  if (contended_) leave_link(link);
  queue.first = first.next;
  return queue.first != kNoTransfer;
}

inline void Simulator::end_of_link(std::size_t link) {
  const bool more = end_passage(link);
  if (!more || !begin_passage(link)) clear_link_end(link);
}

/// The path of nearly all copies; enter_link() is that of any.
[[gnu::flatten]] void Simulator::start_link(const Transfer& transfer) {
  const bool peer = transfer.direction == Direction::kPeer;
  if (!peer && way(transfer).plain) {
    const Way& its = way(transfer);
    enter(its.queue, transfer, transfer_time(transfer.bytes, its.link));
  } else if (disk_ && !peer) {
    disk_->start(transfer);
    use_disk();
  } else {
    enter_link(transfer);
  }
}

void Simulator::enter_link(const Transfer& transfer) {
  if (transfer.steps) steps_->expect(transfer, costs_.host_step(transfer));
  Duration time = link_time(cluster_, transfer);
  if (transfer.direction == Direction::kPeer) {
    if (all_vary_) time = costs_.engine_copy(transfer, time);
    enter(link_index(cluster_, transfer), transfer, time);
    return;
  }
  const Way& its = way(transfer);
  if (its.costs_say) time = costs_.engine_copy(transfer, time);
  enter(its.queue, transfer, time);
}

inline void Simulator::enter(std::size_t link, const Transfer& transfer, Duration time) {
  if (transfer.id >= passing_.size()) grow(transfer.id);
  Queue& queue = queues_[link];
  Passing& passing = passing_[transfer.id];
  const Link::Passage passage = queue.link.pass(now_, time);
  passing.done.transfer = transfer.id;
  passing.done.from = passage.from;
  passing.done.to = passage.to;
  passing.bytes = transfer.bytes;
  passing.next = kNoTransfer;
  passing.direction = transfer.direction;
  if (queue.first == kNoTransfer) {
    enter_first(link, transfer.id);
  } else {
    passing_[queue.last].next = transfer.id;
    queue.last = transfer.id;
  }
}

void Simulator::grow(TransferId transfer) { passing_.resize(2 * std::size_t{transfer} + 1); }

void Simulator::enter_first(std::size_t link, TransferId transfer) {
  queues_[link].first = queues_[link].last = transfer;
  if (apart_ == kNone && !contended_) apart_ = link;
  begin_passage(link);
}

/// Returns whether it shares what it passes through.
bool Simulator::begin_contended(std::size_t link) {
  Passing& first = passing_[queues_[link].first];
  const std::size_t device = link % lanes_.size();
  if (!paces_.empty()) pass(device, first.direction, 1);
  if (first.direction == Direction::kPeer || cluster_.devices[device].parent == kNoSwitch) {
    return false;
  }
  const Duration time = first.done.to - first.done.from;
  first.done.from = now_;
  first.done.to = now_ + time;
  return fair_links_->begin(
      {static_cast<std::uint32_t>(link), device_id(device), first.direction, first.bytes, time},
      now_);
}

[[gnu::flatten]] Lone Simulator::next_alone() {
  if (contended_) return next_alone_contended();
  forget_reported();
  const WinnerTree::Key lane = lane_ends_.top(), link = link_ends_.top();
  const WinnerTree::Key alarm = alarm_.time_since_epoch().count();
  const WinnerTree::Key either = std::min(lane, link), other = std::min(apart_end_, alarm);
  if (other <= either) {
    if (apart_end_ >= alarm || apart_end_ == either) return {};
    return {nullptr, lone_apart()};
  }
  if (lane < link) return {lone_unit(lane), nullptr};
  return {nullptr, lane > link ? lone_copy(link) : nullptr};
}

/// Where links share; not where anything else moves ends.
[[gnu::flatten]] Lone Simulator::next_alone_contended() {
  if (!paces_.empty() || disk_ || steps_) return {};
  forget_reported();
  const WinnerTree::Key lane = lane_ends_.top();
  const WinnerTree::Key other = std::min(next_link_end(), alarm_.time_since_epoch().count());
  const Instant limit{Duration{std::min(lane, other)}};
  const Instant shared = fair_links_->next(limit);
  if (shared <= limit) return {nullptr, shared < limit ? lone_shared(shared) : nullptr};
  return {lane < other ? lone_unit(lane) : nullptr, nullptr};
}

inline const UnitDone* Simulator::lone_unit(WinnerTree::Key end) {
  const WinnerTree::Entry second = lane_ends_.second();
  const std::size_t device = lane_ends_.winner();
  Lane& lane = lanes_[device];
  if (second.key == end || lane.copies) return nullptr;
  lane.unit.to = now_ = Instant{Duration{end}};
  foresee(device, second);
  return &lane.unit;
}

/// Of the link that is apart, where the next copy in its queue ends later.
inline const LinkDone* Simulator::lone_apart() {
  Queue& queue = queues_[apart_];
  const Passing& first = passing_[queue.first];
  if (first.next == kNoTransfer) {
    apart_ = kNone;
    apart_end_ = WinnerTree::kAbsent;
  } else {
    const Instant next = passing_[first.next].done.to;
    if (next == first.done.to) return nullptr;
    apart_end_ = next.time_since_epoch().count();
  }
  now_ = first.done.to;
  queue.first = first.next;
  return &first.done;
}

inline const LinkDone* Simulator::lone_copy(WinnerTree::Key end) {
  const std::size_t link = link_ends_.winner();
  Queue& queue = queues_[link];
  const Passing& first = passing_[queue.first];
  if (first.next == kNoTransfer) {
    link_ends_.clear(link);
  } else {
    set_end(link_ends_, link, passing_[first.next].done.to);
  }
  if (link_ends_.top() == end) {  // Of another link, or of the next here, which takes no time.
    set_end(link_ends_, link, first.done.to);
    return nullptr;
  }
  now_ = first.done.to;
  queue.first = first.next;
  return &first.done;
}

/// Of several that end together, or of one that takes no time after it, wait() tells.
inline const LinkDone* Simulator::lone_shared(Instant end) {
  now_ = end;
  const auto passed = fair_links_->advance(now_);
  const std::uint32_t link = passed.front();
  Queue& queue = queues_[link];
  Passing& first = passing_[queue.first];
  const auto takes_no_time = [&](TransferId id) {
    return id != kNoTransfer && passing_[id].done.from == passing_[id].done.to;
  };
  ended_together_ = passed.size() > 1 || takes_no_time(first.next);
  if (ended_together_) {
    for (const std::uint32_t each : passed) set_link_end(each, now_);
    return nullptr;
  }
  first.done.to = now_;
  queue.first = first.next;
  if (queue.first != kNoTransfer) begin_passage(link);
  return &first.done;
}

[[gnu::flatten]] std::span<const Event> Simulator::wait() {
  if (disk_) use_disk();
  if (!repaced_.empty()) set_paces();
  forget_reported();
  events_.clear();
  const WinnerTree::Key lanes = lane_ends_.top(), alarm = alarm_.time_since_epoch().count();
  WinnerTree::Key instant = std::min(next_link_end(), alarm);
  if (lanes < instant && !fair_links_) {
    now_ = Instant{Duration{lanes}};
    end_lanes(lanes);
    return events_;
  }
  instant = std::min(lanes, instant);
  const bool ended = std::exchange(ended_together_, false);  // At `instant`, which is now.
  if (fair_links_ && !ended) {
    const Instant copy = fair_links_->next(Instant{Duration{instant}});
    instant = std::min(instant, copy.time_since_epoch().count());
  }
  if (instant == WinnerTree::kAbsent) return {};
  now_ = Instant{Duration{instant}};
  if (alarm == instant && steps_) steps_->end(now_);
  if (lanes == instant) end_lanes(instant);
  if (fair_links_ && !ended) advance_fair_links();
  while (next_link_end() == instant) end_of_link(next_link());
  if (alarm == instant) ring();
  return events_.empty() ? wait() : events_;  // Nothing came to an end that the Driver knows of.
}

/// Most often one ends alone and begins anew at once: its end is then replaced, not taken out.
void Simulator::end_lanes(WinnerTree::Key instant) {
  WinnerTree::Entry second = lane_ends_.second();
  for (; second.key == instant; second = lane_ends_.second()) {
    const std::size_t device = lane_ends_.winner();
    end_of_lane(device);
    lane_ends_.clear(device);
  }
  foresee(lane_ends_.winner(), second);
  end_of_lane(reported_lane_);
}

/// Ends that come together come in the order of all links.
void Simulator::advance_fair_links() {
  const auto passed = fair_links_->advance(now_);
  if (passed.size() == 1 && next_link_end() > now_.time_since_epoch().count()) {
    const std::uint32_t link = passed.front();
    if (end_passage(link)) begin_passage(link);
    return;
  }
  for (const std::uint32_t link : passed) set_link_end(link, now_);
}

void Simulator::end_of_lane(std::size_t device) {
  Lane& lane = lanes_[device];
  if (lane.copies) {
    if (now_ > lane.unit.from) lane.unit.to = now_;
    events_.emplace_back(std::in_place_type<LaneCopyDone>, lane.transfer, lane.unit.from, now_);
    if (disk_) disk_->finished(lane.transfer);
  } else {
    if (!paces_.empty()) lane.unit.recompute = slowed(device, lane.unit.recompute);
    lane.unit.to = now_;
    events_.emplace_back(lane.unit);
  }
}

}  // namespace shardlab
