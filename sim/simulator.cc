#include "sim/simulator.h"

#include <algorithm>

#include "sched/limits.h"

namespace shardlab {

Simulator::Simulator(const Program& program, const Cluster& cluster, Costs& costs)
    : program_(program),
      cluster_(cluster),
      costs_(costs),
      lanes_(cluster.devices.size()),
      links_(make_links(cluster)),
      passing_(links_.size()),
      in_flight_(cluster.devices.size()),
      lane_ends_(cluster.devices.size()),
      link_ends_(links_.size()) {
  for (const DeviceSpec& device : cluster.devices) {
    if (device.parent != kNoSwitch && !fair_links_) fair_links_.emplace(cluster);
    copies_slow_ |= device.slow_down_promote != 1 || device.slow_down_demote != 1;
  }
}

void Simulator::start_unit(const UnitRun& run) {
  const UnitCost cost = costs_.unit(run);
  Lane& lane = lanes_[index(run.device)];
  lane.copies = false;
  lane.job = run.job;
  lane.attempt = run.attempt;
  lane.recompute = cost.recompute;
  lane.from = now_ + (run.loaded ? program_.dispatch_loaded : program_.dispatch_alone);
  begin_lane(index(run.device), lane.from + cost.total);
  if (!copies_slow_) return;
  lane.computes = true;
  lane.work = cost.total;
  lane.left = static_cast<double>(cost.total.count());
  lane.slowness = 1;
  lane.since = lane.from;
  set_pace(index(run.device));
}

void Simulator::start_lane_copy(const Transfer& transfer) {
  Lane& lane = lanes_[index(transfer.device)];
  lane.copies = true;
  lane.transfer = transfer.id;
  lane.from = now_;
  begin_lane(index(transfer.device), now_ + costs_.lane_copy(transfer));
}

void Simulator::start_link(const Transfer& transfer) {
  const std::size_t link = link_index(cluster_, transfer);
  Duration time = link_time(cluster_, transfer);
  if (cluster_.devices[index(transfer.device)].copy_engines > 0) {
    time = costs_.engine_copy(transfer, time);
  }
  const auto passage = links_[link].pass(now_, time);
  passing_[link].push_back({transfer.id, transfer.direction, transfer.bytes, passage});
  if (passing_[link].size() == 1) begin_passage(link);
}

/// Of the first in its queue: it was just asked for, or the one before it just ended. Returns
/// whether its end is known.
bool Simulator::begin_passage(std::size_t link) {
  Passing& first = passing_[link].front();
  const std::size_t device = link % lanes_.size();
  if (copies_slow_) pass(device, first.direction, 1);
  const bool by_host = first.direction != Direction::kPeer;
  if (by_host && cluster_.devices[device].parent != kNoSwitch) {
    const Duration alone = first.passage.to - first.passage.from;
    first.passage = {now_, now_ + alone};
    if (fair_links_->begin({static_cast<std::uint32_t>(link), device_id(device), first.direction,
                            first.bytes, alone},
                           now_)) {
      return false;
    }
  }
  set_end(link_ends_, link, first.passage.to);
  return true;
}

Instant Simulator::next() {
  const WinnerTree::Key ends = std::max(lane_ends_.top(), link_ends_.top());
  const Instant known = ends == WinnerTree::kAbsent ? kNever : Instant{Duration{-ends}};
  const Instant first = std::min(known, wake_);
  return fair_links_ ? std::min(first, fair_links_->next(first)) : first;
}

std::span<const Event> Simulator::wait() {
  for (const std::size_t device : repaced_) set_pace(device);
  repaced_.clear();
  events_.clear();
  if (reported_lane_ != kNone) lane_ends_.clear(reported_lane_);
  reported_lane_ = kNone;
  const Instant instant = next();
  if (instant == kNever) return events_;
  now_ = instant;
  const WinnerTree::Key key = -instant.time_since_epoch().count();
  if (lane_ends_.top() == key) end_lanes(key);
  if (fair_links_) advance_fair_links();
  while (link_ends_.top() == key) {
    const std::size_t link = link_ends_.winner();
    if (!end_of_link(link)) link_ends_.clear(link);
  }
  if (wake_ == now_) {
    wake_ = kNever;
    events_.emplace_back(Woken{});
  }
  return events_;
}

/// Most often one ends alone and begins anew at once: its end is then replaced, not taken out.
void Simulator::end_lanes(WinnerTree::Key instant) {
  while (lane_ends_.second() == instant) {
    const std::size_t device = lane_ends_.winner();
    end_of_lane(device);
    lane_ends_.clear(device);
  }
  reported_lane_ = lane_ends_.winner();
  end_of_lane(reported_lane_);
}

/// Ends that come together come in the order of all links.
void Simulator::advance_fair_links() {
  const auto passed = fair_links_->advance(now_);
  if (passed.size() == 1 && link_ends_.top() < -now_.time_since_epoch().count()) {
    end_of_link(passed.front());
    return;
  }
  for (const std::uint32_t link : passed) set_end(link_ends_, link, now_);
}

void Simulator::end_of_lane(std::size_t device) {
  Lane& lane = lanes_[device];
  if (lane.copies) {
    events_.emplace_back(std::in_place_type<LaneCopyDone>, lane.transfer, lane.from, now_);
  } else {
    if (lane.computes && now_ - lane.from > lane.work) {  // What repeats was slowed in proportion.
      lane.recompute = whole(static_cast<double>(lane.recompute.count()) *
                             static_cast<double>((now_ - lane.from).count()) /
                             static_cast<double>(lane.work.count()));
    }
    lane.computes = false;
    events_.emplace_back(std::in_place_type<UnitDone>, device_id(device), lane.job, lane.attempt,
                         lane.from, now_, lane.recompute);
  }
}

/// Returns whether the end of the next is known.
bool Simulator::end_of_link(std::size_t link) {
  auto& queue = passing_[link];
  const Passing done = queue.front();
  queue.pop_front();
  events_.emplace_back(LinkDone{done.transfer, done.passage.from, now_});
  if (copies_slow_) pass(link % lanes_.size(), done.direction, -1);
  return !queue.empty() && begin_passage(link);
}

/// A copy begins or ends to be in flight. What that does to the unit that runs is settled when the
/// whole instant is known.
void Simulator::pass(std::size_t device, Direction direction, int change) {
  if (direction == Direction::kPeer) return;
  in_flight_[device][static_cast<std::size_t>(direction)] += change;
  repaced_.push_back(device);
}

double Simulator::slowness(std::size_t device) const {
  const auto [promotions, demotions] = in_flight_[device];
  const DeviceSpec& spec = cluster_.devices[device];
  return (promotions > 0 ? spec.slow_down_promote : 1) *
         (demotions > 0 ? spec.slow_down_demote : 1);
}

/// The work left of the unit that runs changes only here, and its end is rounded up.
void Simulator::set_pace(std::size_t device) {
  Lane& lane = lanes_[device];
  const double slowness = this->slowness(device);
  if (!lane.computes || slowness == lane.slowness) return;
  if (now_ > lane.since) {  // Else its dispatch is not over.
    lane.left -= static_cast<double>((now_ - lane.since).count()) / lane.slowness;
    lane.since = now_;
  }
  lane.slowness = slowness;
  set_end(lane_ends_, device, std::max(now_, lane.since + whole(lane.left * slowness)));
}

Outcome simulate(const Program& program, const Cluster& cluster, Policy& policy, Costs& costs,
                 Timeline* timeline) {
  refuse_what_cannot_fit(program, cluster);
  const bool free_copies =
      program.copy_loaded.bytes_per_second == 0 && program.copy_loaded.latency == Duration{};
  const bool tracks =
      std::any_of(cluster.devices.begin(), cluster.devices.end(), [&](const auto& device) {
        return device.memory != kUnlimited || device.paced() || device.peer || cluster.network ||
               (device.copy_engines == 0 && !free_copies);
      });
  if (timeline != nullptr) {
    timeline->source = "simulated";
    for (const JobProgram& job : program.jobs) timeline->jobs.push_back(job.name);
    for (const DeviceSpec& device : cluster.devices) {
      timeline->devices.push_back(device.name);
      timeline->budget.push_back(device.memory);
    }
  }
  Simulator simulator(program, cluster, costs);
  Driver driver(program, cluster, policy, simulator, timeline, tracks);
  return drive(driver, simulator);
}

}  // namespace shardlab
