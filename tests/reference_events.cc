#include <algorithm>
#include <utility>

#include "tests/reference.h"

/// What happened in an instant, and when the next thing will.
namespace shardlab::reference {

Instant Simulation::next_instant() const {
  Instant next = disk_ ? disk_->next() : kNever;
  for (const Claim& claim : claims_) {
    if (claim.running) next = std::min(next, claim.to);
  }
  for (const auto& [id, passage] : passages_) {
    if (passage.where == Passage::Where::kLink) next = std::min(next, passage.span.link_to);
    if (passage.where == Passage::Where::kLane) next = std::min(next, passage.span.lane_to);
    if (passage.where == Passage::Where::kSteps) next = std::min(next, passage.span.done);
  }
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const Instant arrival = program_.jobs[j].arrival;
    if (jobs_[j].state == Job::State::kWaiting && arrival > now_) next = std::min(next, arrival);
  }
  return next;
}

/// "All events of one instant are taken in before anything is decided": what lanes did by device,
/// what links did, then hosts by node, then arrivals. What takes no time ends in another round of
/// the same instant.
bool Simulation::take_in() {
  std::vector<Claim> units;
  std::vector<std::size_t> by_lane, by_link, by_host;
  for (const Claim& claim : claims_) {
    if (claim.running && claim.to == now_) units.push_back(claim);
  }
  for (const auto& [id, at] : passages_) {
    if (at.where == Passage::Where::kLane && at.span.lane_to == now_) by_lane.push_back(id);
    if (at.where == Passage::Where::kLink && at.span.link_to == now_) by_link.push_back(id);
    if (at.where == Passage::Where::kSteps && at.span.done == now_) by_host.push_back(id);
  }
  std::ranges::sort(by_link, {}, [&](std::size_t id) {
    return std::pair(queue(passages_.at(id).move), passages_.at(id).order);
  });
  const auto device = [&](std::size_t id) { return passages_.at(id).move.device; };
  std::ranges::stable_sort(by_lane, {}, device);
  if (disk_) leave_host(by_lane, by_link);
  for (std::size_t d = 0; d < cluster_.devices.size(); ++d) {
    for (const Claim& claim : units) {
      if (claim.device == d) unit_done(claim);
    }
    for (const std::size_t id : by_lane) {
      if (passages_.contains(id) && device(id) == d) lane_copy_done(id);
    }
  }
  for (const std::size_t id : by_link) link_done(id);
  std::ranges::sort(by_host, {}, [&](std::size_t id) {  // Nodes count from the first device's.
    const std::string& node = cluster_.devices[device(id)].node;
    return std::ranges::find(cluster_.devices, node, &DeviceSpec::node) - cluster_.devices.begin();
  });
  for (const std::size_t id : by_host) complete(id);
  start_steps();
  end_flushed_jobs();
  const bool arrives = std::ranges::any_of(
      program_.jobs, [&](const JobProgram& job) { return job.arrival == now_; });
  return arrives || !units.empty() || !by_lane.empty() || !by_link.empty() || !by_host.empty();
}

/// What the devices have got or given needs the host's memory no more.
void Simulation::leave_host(const std::vector<std::size_t>& by_lane,
                            const std::vector<std::size_t>& by_link) {
  for (const std::size_t id : by_lane) {
    if (passages_.at(id).move.direction == Direction::kPromote) disk_->finished(id);
  }
  for (const std::size_t id : by_link) {
    const Move& move = passages_.at(id).move;
    const bool lane = move.direction == Direction::kPromote && copies_take_lane(move.device);
    if (!lane) disk_->finished(id);
  }
}

void Simulation::unit_done(const Claim& ended) {
  lane_ended_[ended.device] = now_;
  std::erase_if(claims_, [&](const Claim& claim) { return claim.number == ended.number; });
  ended_.push_back(ended);
  const Unit& unit = unit_of(ended);
  if (unit.kind != UnitKind::kReduce) result_.busy[ended.device] += ended.to - ended.from;
  result_.units.push_back({job_id(ended.job), ended.unit, ended.minibatch, unit.kind, unit.shard,
                           device_id(ended.device), 1, ended.number, ended.claimed_at,
                           ended.reserved_at, ended.started_at, ended.from, ended.to,
                           repeated(ended), unit.microbatch, unit.replica});
  if (tracks_memory_) memory_.commit(ended, claims_);
  ++tracks_[ended.track].done;
  tracks_[ended.track].ready = false;
  make_ready(ended.track);
  bool all_done = true;
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    if (tracks_[t].job != ended.job) continue;
    make_ready(t);
    all_done = all_done && tracks_[t].done == length(tracks_[t]);
  }
  if (!all_done) return;
  jobs_[ended.job].state = Job::State::kFlushing;
  if (tracks_memory_) memory_.flush(ended.job);
}

/// "Ready: the unit before it is done", and all that it waits for in other tracks.
void Simulation::make_ready(std::size_t t) {
  Track& track = tracks_[t];
  if (track.ready || track.done == length(track) || !unblocked(track, track.done)) return;
  track.ready = true;
  track.ready_since = now_;
  for (Claim& claim : claims_) {  // It was claimed ahead.
    if (claim.track != t) continue;
    claim.ready = true;
  }
}

/// A job ends when its parameters and state are in host memory.
void Simulation::end_flushed_jobs() {
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    if (jobs_[j].state != Job::State::kFlushing) continue;
    if (tracks_memory_ && !memory_.flushed(j)) continue;
    if (tracks_memory_) memory_.forget(j);
    jobs_[j].state = Job::State::kEnded;
    result_.ends[j] = now_;
    result_.makespan = now_;
  }
}

// Links and lanes.

/// Promotions of a device wait in one queue, demotions in another, what it sends in a third; "one
/// engine serves both directions in turn, by one queue".
std::size_t Simulation::queue(const Move& move) const {
  if (move.direction == Direction::kPeer) return 2 * cluster_.devices.size() + move.source;
  const bool one =
      cluster_.devices[move.device].copy_engines == 1 || fault_ == Fault::kOneLinkForBothWays;
  const bool back = move.direction == Direction::kDemote && !one;
  return move.device + (back ? cluster_.devices.size() : 0);
}

/// Between devices of one node the slower of both peer links, between nodes the network.
LinkSpec Simulation::link_of(const Move& move) const {
  const DeviceSpec& device = cluster_.devices[move.device];
  if (move.direction == Direction::kPromote) return device.link;
  if (move.direction == Direction::kDemote) return device.link_back();
  const DeviceSpec& source = cluster_.devices[move.source];
  if (source.node != device.node) return *cluster_.network;
  const LinkSpec &a = *source.peer, &b = *device.peer;
  const bool unlimited = a.bytes_per_second == 0 || b.bytes_per_second == 0;
  const auto [less, more] = std::minmax(a.bytes_per_second, b.bytes_per_second);
  return {std::max(a.latency, b.latency), unlimited ? more : less};
}

/// "Every transfer between host and device passes through the disk before it enters its link."
void Simulation::ask_for_link(std::size_t id) {
  Passage& passage = passages_.at(id);
  if (!disk_ || passage.move.direction == Direction::kPeer) return join_link(passage);
  passage.where = Passage::Where::kWaitsForRoom;
  disk_->start(id, passage.move);
  enter_links();
}

void Simulation::enter_links() {
  for (const std::size_t id : disk_->ready(now_)) join_link(passages_.at(id));
}

/// "A copy ends latency + bytes/rate after the later of its request and the end of the one before
/// it."
void Simulation::join_link(Passage& passage) {
  const LinkSpec link = link_of(passage.move);
  Instant& free = link_free_[queue(passage.move)];
  passage.where = Passage::Where::kLink;
  passage.order = ++joined_;
  passage.span.link_from = std::max(now_, free);
  passage.span.link_to =
      passage.span.link_from + copy_time(passage.span.bytes, link.latency, link.bytes_per_second);
  if (passage.move.remote) {
    const LinkSpec& far = *cluster_.network;
    passage.span.link_to += copy_time(passage.span.bytes, far.latency, far.bytes_per_second);
  }
  free = passage.span.link_to;
}

void Simulation::join_lane(Passage& passage) {
  passage.where = Passage::Where::kWaitsForLane;
  passage.order = ++joined_;
}

bool Simulation::copies_take_lane(std::size_t device) const {
  return cluster_.devices[device].copy_engines == 0;
}

/// Its own, or the network or the disk before it.
bool Simulation::takes_link(std::size_t device) const {
  const bool nodes = std::ranges::any_of(cluster_.devices, [&](const DeviceSpec& other) {
    return other.node != cluster_.devices.front().node;
  });
  return cluster_.devices[device].paced() || nodes || disk_;
}

/// "With copy_engines = 0 ... the memory copy itself takes the compute lane, before the link's
/// passage for a demotion and after it for a promotion."
void Simulation::start_moves() {
  for (const auto& [job, item] : std::exchange(memory_.unneeded, {})) {
    if (disk_) disk_->dropped(job, item);
  }
  for (const Move& move : std::exchange(memory_.asked, {})) {
    const Item& item = program_.jobs[move.job].items[move.item];
    const std::size_t id = passages_made_++;
    Passage& passage = passages_[id];
    passage.move = move;
    passage.loaded = loaded();
    CopySpan& span = passage.span;
    span.job = job_id(move.job);
    span.item = item.kind;
    span.shard = item.shard;
    span.minibatch = minibatches_done(move.job);
    span.device = device_id(move.device);
    span.direction = move.direction;
    span.bytes = item.bytes;
    span.microbatch = item.microbatch;
    span.replica = item.replica;
    if (move.direction == Direction::kPeer) span.source = device_id(move.source);
    span.asked = span.link_from = span.link_to = span.lane_from = span.lane_to = now_;
    const bool lane = copies_take_lane(move.device) && move.direction != Direction::kPeer;
    const bool link = !lane || takes_link(move.device);
    if (link && !(lane && move.direction == Direction::kDemote)) {
      ask_for_link(id);
    } else {
      join_lane(passage);
    }
  }
}

void Simulation::link_done(std::size_t id) {
  Passage& passage = passages_.at(id);
  if (passage.move.direction == Direction::kPromote && copies_take_lane(passage.move.device)) {
    join_lane(passage);
  } else if (passage.move.gradient) {
    passage.where = Passage::Where::kWaitsForStep;
    passage.order = ++joined_;
  } else {
    complete(id);
  }
}

/// "The host steps, first come, first served, one at a time": each node's.
void Simulation::start_steps() {
  std::map<std::string, Passage*> first;
  for (auto& [id, passage] : passages_) {
    const std::string& node = cluster_.devices[passage.move.device].node;
    Passage*& best = first.try_emplace(node, nullptr).first->second;
    const bool waits = passage.where == Passage::Where::kWaitsForStep;
    const bool steps = passage.where == Passage::Where::kSteps && fault_ != Fault::kStepsAtOnce;
    if (!waits && !steps) continue;
    const auto turn = [](const Passage& each) {  // Who is at it stays.
      return std::pair(each.where != Passage::Where::kSteps, each.order);
    };
    if (best == nullptr || turn(passage) < turn(*best)) best = &passage;
  }
  for (auto& [node, passage] : first) {
    if (passage == nullptr || passage->where != Passage::Where::kWaitsForStep) continue;
    const JobProgram& job = program_.jobs[passage->move.job];
    const auto shard = static_cast<std::size_t>(job.items[passage->move.item].shard);
    passage->where = Passage::Where::kSteps;
    passage->span.step_from = now_;
    passage->span.done = now_ + job.host_step[shard];
  }
}

void Simulation::lane_copy_done(std::size_t id) {
  Passage& passage = passages_.at(id);
  if (passage.span.lane_from < now_) lane_ended_[passage.move.device] = now_;
  const bool home = passage.move.direction == Direction::kDemote;
  if (home && (takes_link(passage.move.device) || passage.move.gradient)) {
    ask_for_link(id);
  } else {
    complete(id);
  }
}

void Simulation::complete(std::size_t id) {
  Passage passage = passages_.at(id);
  passages_.erase(id);
  passage.span.done = now_;
  result_.copies.push_back(passage.span);
  const bool there = passage.move.direction == Direction::kPromote;
  const bool back = passage.move.direction == Direction::kDemote;
  Bytes& sum = there ? result_.promoted : back ? result_.demoted : result_.between_devices;
  sum += passage.span.bytes;
  memory_.moved(passage.move, claims_);
  result_.host_peak = std::max(result_.host_peak, memory_.on_host());
}

}  // namespace shardlab::reference
