#include "sim/simulator.h"

#include <algorithm>
#include <utility>

#include "sched/limits.h"

namespace shardlab {

Simulator::Simulator(const Program& program, const Cluster& cluster, Costs& costs)
    : program_(program),
      cluster_(cluster),
      costs_(costs),
      lanes_(cluster.devices.size()),
      queues_(link_count(cluster)),
      lane_ends_(cluster.devices.size()),
      link_ends_(queues_.size()) {
  const auto& devices = cluster.devices;
  if (std::ranges::any_of(devices, [](auto& device) { return device.parent != kNoSwitch; })) {
    fair_links_.emplace(cluster);
  }
  if (std::ranges::any_of(devices, [](auto& device) {
        return device.slow_down_promote != 1 || device.slow_down_demote != 1;
      })) {
    paces_.resize(devices.size());
  }
  if (cluster.disk) disk_.emplace(program, cluster);
  contended_ = fair_links_ || !paces_.empty() || disk_;
  for (const Direction direction : {Direction::kPromote, Direction::kDemote}) {
    for (std::size_t d = 0; d < devices.size(); ++d) {
      Transfer transfer;
      transfer.device = device_id(d);
      transfer.direction = direction;
      ways_.push_back({direction == Direction::kPromote ? devices[d].link : devices[d].link_back(),
                       link_index(cluster, transfer),
                       devices[d].copy_engines > 0 && !costs.engines_keep_pace()});
    }
  }
  for (std::size_t d = 0; d < devices.size(); ++d) {
    for (const Instant at : devices[d].leaves) changes_.push_back({at, device_id(d), true});
    for (const Instant at : devices[d].returns) changes_.push_back({at, device_id(d), false});
  }
  std::ranges::stable_sort(changes_, {}, &Change::at);
  set_alarm();
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
  if (!paces_.empty()) start_pace(index(run.device), cost.total);
  if (disk_) disk_->changed(run.job, program_.jobs[index(run.job)].units[run.unit]);
}

void Simulator::start_lane_copy(const Transfer& transfer) {
  Lane& lane = lanes_[index(transfer.device)];
  lane.copies = true;
  lane.transfer = transfer.id;
  lane.from = now_;
  begin_lane(index(transfer.device), now_ + costs_.lane_copy(transfer));
}

/// Of the first in its queue: it was just asked for, or the one before it just ended. Returns
/// whether its end is known.
inline bool Simulator::begin_passage(std::size_t link) {
  if (contended_ && begin_contended(link)) return false;
  set_link_end(link, passing_[queues_[link].first].passage.to);
  return true;
}

/// Returns whether there are more in the queue.
inline bool Simulator::end_passage(std::size_t link) {
  Queue& queue = queues_[link];
  const Passing& done = passing_[queue.first];
  events_.emplace_back(std::in_place_type<LinkDone>, queue.first, done.passage.from, now_);
  if (contended_) leave_link(link);
  queue.first = done.next;
  return queue.first != kNoTransfer;
}

inline void Simulator::end_of_link(std::size_t link) {
  const bool more = end_passage(link);
  if (!more || !begin_passage(link)) clear_link_end(link);
}

void Simulator::start_link(const Transfer& transfer) {
  if (disk_ && transfer.direction != Direction::kPeer) {
    disk_->start(transfer);
    use_disk();
  } else {
    enter_link(transfer);
  }
}

[[gnu::flatten]] void Simulator::enter_link(const Transfer& transfer) {
  const std::size_t device = index(transfer.device);
  const bool peer = transfer.direction == Direction::kPeer;
  const Way& way = ways_[device + (transfer.direction == Direction::kDemote ? lanes_.size() : 0)];
  const std::size_t link = peer ? link_index(cluster_, transfer) : way.queue;
  Duration time = peer ? link_time(cluster_, transfer) : transfer_time(transfer.bytes, way.link);
  if (way.costs_say) time = costs_.engine_copy(transfer, time);
  Queue& queue = queues_[link];
  if (transfer.id >= passing_.size()) passing_.resize(transfer.id + 1);
  Passing& passing = passing_[transfer.id];
  passing.passage = queue.link.pass(now_, time);
  passing.bytes = transfer.bytes;
  passing.next = kNoTransfer;
  passing.direction = transfer.direction;
  const TransferId before = std::exchange(queue.last, transfer.id);
  if (queue.first != kNoTransfer) {
    passing_[before].next = transfer.id;
  } else {
    queue.first = transfer.id;
    if (apart_ == kNone && !contended_) apart_ = link;
    begin_passage(link);
  }
}

/// Returns whether it shares what it passes through.
bool Simulator::begin_contended(std::size_t link) {
  Passing& first = passing_[queues_[link].first];
  const std::size_t device = link % lanes_.size();
  if (!paces_.empty()) pass(device, first.direction, 1);
  if (first.direction == Direction::kPeer || cluster_.devices[device].parent == kNoSwitch) {
    return false;
  }
  const Duration time = first.passage.to - first.passage.from;
  first.passage = {now_, now_ + time};
  return fair_links_->begin(
      {static_cast<std::uint32_t>(link), device_id(device), first.direction, first.bytes, time},
      now_);
}

[[gnu::flatten]] Lone Simulator::next_alone() {
  if (contended_) return next_alone_contended();
  if (reported_lane_ != kNone) lane_ends_.clear(reported_lane_);
  reported_lane_ = kNone;
  const WinnerTree::Key lane = lane_ends_.top(), copy = next_link_end();
  if (std::min(lane, copy) >= alarm_.time_since_epoch().count()) return {};
  return lane < copy ? Lone{lone_unit(lane), nullptr} : Lone{nullptr, lone_copy(copy, lane)};
}

/// Where links share; not where anything else moves ends.
[[gnu::flatten]] Lone Simulator::next_alone_contended() {
  if (!paces_.empty() || disk_) return {};
  if (reported_lane_ != kNone) lane_ends_.clear(reported_lane_);
  reported_lane_ = kNone;
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
  const Lane& lane = lanes_[device];
  if (second.key == end || lane.copies) return nullptr;
  now_ = Instant{Duration{end}};
  lone_unit_ = {device_id(device), lane.job, lane.attempt, lane.from, now_, lane.recompute};
  foresee(device, second);
  return &lone_unit_;
}

inline const LinkDone* Simulator::lone_copy(WinnerTree::Key end, WinnerTree::Key lane) {
  const std::size_t link = next_link();
  const WinnerTree::Key other =
      link == apart_ ? link_ends_.top() : std::min(apart_end_, link_ends_.second().key);
  Queue& queue = queues_[link];
  const Passing& done = passing_[queue.first];
  const bool more = done.next != kNoTransfer;
  if (end == lane || end == other || (more && passing_[done.next].passage.to == done.passage.to))
    return nullptr;
  lone_copy_ = {queue.first, done.passage.from, done.passage.to};
  now_ = lone_copy_.to;
  queue.first = done.next;
  more ? set_link_end(link, passing_[done.next].passage.to) : clear_link_end(link);
  return &lone_copy_;
}

/// Of several that end together, or of one that takes no time after it, wait() tells.
inline const LinkDone* Simulator::lone_shared(Instant end) {
  now_ = end;
  const auto passed = fair_links_->advance(now_);
  const std::uint32_t link = passed.front();
  Queue& queue = queues_[link];
  const Passing& done = passing_[queue.first];
  const auto takes_no_time = [&](TransferId id) {
    return id != kNoTransfer && passing_[id].passage.from == passing_[id].passage.to;
  };
  ended_together_ = passed.size() > 1 || takes_no_time(done.next);
  if (ended_together_) {
    for (const std::uint32_t each : passed) set_link_end(each, now_);
    return nullptr;
  }
  lone_copy_ = {queue.first, done.passage.from, now_};
  queue.first = done.next;
  if (queue.first != kNoTransfer) begin_passage(link);
  return &lone_copy_;
}

[[gnu::flatten]] std::span<const Event> Simulator::wait() {
  if (disk_) use_disk();
  if (!repaced_.empty()) set_paces();
  if (reported_lane_ != kNone) lane_ends_.clear(reported_lane_);
  reported_lane_ = kNone;
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
  if (lanes == instant) end_lanes(instant);
  if (fair_links_ && !ended) advance_fair_links();
  while (next_link_end() == instant) end_of_link(next_link());
  if (alarm == instant) ring();
  return events_.empty() ? wait() : events_;  // Nothing but the disk came to an end.
}

void Simulator::set_paces() {
  for (const std::size_t device : repaced_) set_pace(device);
  repaced_.clear();
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
    events_.emplace_back(std::in_place_type<LaneCopyDone>, lane.transfer, lane.from, now_);
    if (disk_) disk_->finished(lane.transfer);
  } else {
    if (!paces_.empty()) lane.recompute = slowed(device, lane.recompute);
    events_.emplace_back(std::in_place_type<UnitDone>, device_id(device), lane.job, lane.attempt,
                         lane.from, now_, lane.recompute);
  }
}

/// A copy begins or ends to be in flight. What that does to the unit that runs is settled when the
/// whole instant is known.
void Simulator::pass(std::size_t device, Direction direction, int change) {
  if (paces_.empty() || direction == Direction::kPeer) return;
  paces_[device].copies[static_cast<std::size_t>(direction)] += change;
  repaced_.push_back(device);
}

double Simulator::slowness(std::size_t device) const {
  const auto [promotions, demotions] = paces_[device].copies;
  const DeviceSpec& spec = cluster_.devices[device];
  return (promotions > 0 ? spec.slow_down_promote : 1) *
         (demotions > 0 ? spec.slow_down_demote : 1);
}

void Simulator::start_pace(std::size_t device, Duration work) {
  Pace& pace = paces_[device];
  pace.computes = true;
  pace.work = work;
  pace.left = static_cast<double>(work.count());
  pace.slowness = 1;
  pace.since = lanes_[device].from;
  set_pace(device);
}

/// The work left of the unit that runs changes only here, and its end is rounded up.
void Simulator::set_pace(std::size_t device) {
  Pace& pace = paces_[device];
  const double slowness = this->slowness(device);
  if (!pace.computes || slowness == pace.slowness) return;
  if (now_ > pace.since) {  // Else its dispatch is not over.
    pace.left -= static_cast<double>((now_ - pace.since).count()) / pace.slowness;
    pace.since = now_;
  }
  pace.slowness = slowness;
  set_end(lane_ends_, device, std::max(now_, pace.since + whole(pace.left * slowness)));
}

/// Part of the unit that ends now, which was slowed in proportion.
Duration Simulator::slowed(std::size_t device, Duration part) {
  Pace& pace = paces_[device];
  pace.computes = false;
  const Duration took = now_ - lanes_[device].from;
  if (took <= pace.work) return part;
  return whole(static_cast<double>(part.count()) * static_cast<double>(took.count()) /
               static_cast<double>(pace.work.count()));
}

Outcome simulate(const Program& given, const Cluster& cluster, Policy& policy, Costs& costs,
                 Timeline* timeline, Tuner* tuner) {
  refuse_what_cannot_fit(given, cluster);
  const bool loses = cluster.loses_devices();
  Program own;  // In which the Driver binds anew.
  if (loses) own = given;
  const Program& program = loses ? own : given;
  const bool free_copies =
      program.copy_loaded.bytes_per_second == 0 && program.copy_loaded.latency == Duration{};
  const bool tracks =
      loses || cluster.disk ||
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
  Driver driver(program, cluster, policy, simulator, timeline, tracks, tuner);
  if (loses) driver.may_lose_devices(own);
  Outcome outcome = drive(driver, simulator);
  if (const Disk* disk = simulator.disk()) {
    outcome.host_peak = disk->peak();
    outcome.read = disk->moved().read;
    outcome.written = disk->moved().written;
  }
  return outcome;
}

}  // namespace shardlab
