#include "tests/reference.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "core/counter_hash.h"

namespace shardlab::reference {

Simulation::Simulation(const Program& program, const Cluster& cluster, std::string policy,
                       Fault fault)
    : program_(program),
      cluster_(cluster),
      policy_(std::move(policy)),
      fault_(fault),
      memory_(program, cluster, fault),
      jobs_(program.jobs.size()) {
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    const JobProgram& job = program.jobs[j];
    for (const auto& track : job.tracks) tracks_.push_back({j, track.first, track.count});
    const auto units = static_cast<std::int64_t>(job.units.size());
    if (job.tracks.empty()) tracks_.push_back({j, 0, units});
  }
  // "Memory and copies are left out when no device has a budget, links are not paced, memory
  // copies cost nothing, nothing joins devices directly and there is no disk."
  const bool costly =
      program.copy_loaded.bytes_per_second > 0 || program.copy_loaded.latency > Duration{};
  if (cluster.disk) disk_.emplace(program, cluster, fault);
  tracks_memory_ = std::ranges::any_of(cluster.devices, [&](const DeviceSpec& device) {
    if (device.peer || cluster.network || cluster.disk) return true;
    return device.memory != kUnlimited || device.paced() || (device.copy_engines == 0 && costly);
  });
  for (const JobProgram& job : program.jobs) {
    if (!job.host_step.empty()) tracks_memory_ = true;
  }
  result_.ends.resize(jobs_.size());
  result_.busy.resize(cluster.devices.size());
  result_.peak.resize(cluster.devices.size());
  if (tracks_memory_) result_.host_peak = memory_.on_host();
}

Result Simulation::run() {
  take_in();
  decide();
  const auto ended = [](const Job& job) { return job.state == Job::State::kEnded; };
  while (!std::ranges::all_of(jobs_, ended) || !passages_.empty()) {
    if (disk_) enter_links();
    set_paces();
    now_ = next_instant();
    if (now_ == kNever) throw std::runtime_error("the reference is stuck");
    if (take_in()) decide();
  }
  if (!disk_) return result_;
  result_.host_peak = disk_->peak;
  result_.read = disk_->read;
  result_.written = disk_->written;
  return result_;
}

void Simulation::decide() {
  admit_waiting();
  give_back_late_claims();
  fill_slots(false);
  fill_slots(true);
  settle();
  start_moves();
  go_on();
  while (looks_ahead()) {  // Buffers look ahead of what started.
    fill_slots(true);
    if (!go_on()) return;
  }
}

/// Device by device, until nothing changes. Returns whether anything did.
bool Simulation::go_on() {
  bool any = false;
  for (bool again = true; again; any = any || again) {
    again = false;
    for (std::size_t d = 0; d < cluster_.devices.size(); ++d) again = go_on(d) || again;
  }
  return any;
}

/// In the order of their arrival, then of their ids; who finds no room lets others go first.
void Simulation::admit_waiting() {
  std::vector<std::size_t> waiting;
  std::int64_t running = 0;
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    if (jobs_[j].state == Job::State::kRunning) ++running;
    const bool there = program_.jobs[j].arrival <= now_;
    if (there && jobs_[j].state == Job::State::kWaiting) waiting.push_back(j);
  }
  std::ranges::stable_sort(waiting, {}, [&](std::size_t j) { return program_.jobs[j].arrival; });
  for (const std::size_t j : waiting) {
    if (program_.admit > 0 && running >= program_.admit) return;
    if (admit(j)) ++running;
  }
}

bool Simulation::admit(std::size_t j) {
  std::vector<std::size_t> devices;
  for (std::size_t d = 0; d < cluster_.devices.size(); ++d) devices.push_back(d);
  if (program_.jobs[j].resident) {  // The one with most room.
    const auto room = [&](std::size_t d) {
      return cluster_.devices[d].memory - memory_.used(d, claims_);
    };
    jobs_[j].home =
        tracks_memory_ ? *std::ranges::max_element(devices, {}, room) : j % cluster_.devices.size();
    devices = {jobs_[j].home};
  }
  if (tracks_memory_ && program_.jobs[j].held && !memory_.admit(j, devices, claims_)) return false;
  jobs_[j].state = Job::State::kRunning;
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    if (tracks_[t].job == j) make_ready(t);
  }
  note_peaks();
  return true;
}

/// "When such a producer is late and another unit could run, the claim is given back."
void Simulation::give_back_late_claims() {
  bool another = false;
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    if (tracks_[t].ready && runs(tracks_[t]) && claims_of(t).empty()) another = true;
  }
  if (!another || fault_ == Fault::kLateClaimsAreKept) return;
  for (std::size_t d = 0; d < cluster_.devices.size(); ++d) {
    const std::vector<Claim*> mine = claims_on(d);
    const auto ready = [](const Claim* claim) { return claim->ready; };
    if (mine.empty() || std::ranges::any_of(mine, ready)) continue;
    const Claim late = *mine.front();
    std::erase_if(claims_, [&](const Claim& claim) { return claim.number == late.number; });
    if (tracks_memory_ && late.reserved) memory_.give_back(late, claims_);
  }
}

/// "Devices that hold nothing choose before those that fill a buffer, each group in the order of
/// their ids."
void Simulation::fill_slots(bool buffers) {
  for (std::size_t d = 0; d < cluster_.devices.size(); ++d) {
    if (buffers && claims_on(d).empty()) continue;
    const std::optional<int>& own = cluster_.devices[d].buffer_slots;
    const int buffer = own && fault_ != Fault::kAllBuffersAlike ? *own : program_.slots - 1;
    const std::size_t slots = 1 + static_cast<std::size_t>(buffers ? buffer : 0);
    while (claims_on(d).size() < slots && claim_one(d, buffers)) {
    }
  }
}

/// The tracks whose next unit the device may claim; for a buffer, "a policy with lookahead also
/// sees units whose predecessor is expected to end before this device is free".
std::vector<Simulation::Choice> Simulation::choices(std::size_t device, bool buffers) const {
  std::vector<Choice> found;
  const Claim* mine = running_on(device);
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    const Track& track = tracks_[t];
    if (!runs(track)) continue;
    const bool ready = track.ready && claims_of(t).empty();
    const bool ahead =
        !ready && buffers && looks_ahead() && mine != nullptr && ends_in_time(t, *mine);
    if (!ready && !ahead) continue;
    const JobProgram& job = program_.jobs[track.job];
    const DeviceId bound = job.resident
                               ? device_id(jobs_[track.job].home)
                               : job.units[unit_after(track, track.done + (ahead ? 1 : 0))].bound;
    if (bound == kNoDevice || bound == device_id(device)) found.push_back({t, ahead});
  }
  return found;
}

/// The track's unit runs, nobody has claimed the one after it, and by the estimate it ends not
/// later than `before`.
bool Simulation::ends_in_time(std::size_t t, const Claim& before) const {
  const std::vector<Claim> claims = claims_of(t);
  if (claims.size() != 1 || !claims.front().running) return false;
  const std::int64_t next = tracks_[t].done + 1;
  if (next == length(tracks_[t]) || !unblocked(tracks_[t], next)) return false;
  const auto expected_end = [&](const Claim& claim) { return claim.started_at + expected(claim); };
  return expected_end(claims.front()) <= expected_end(before);
}

/// "Priorities before any policy"; "ties go to the lower job id."
bool Simulation::claim_one(std::size_t device, bool buffers) {
  const std::vector<Choice> found = choices(device, buffers);
  if (found.empty()) return false;
  Choice best = found.front();
  const auto order = [&](const Choice& choice) {
    const int priority = program_.jobs[tracks_[choice.track].job].priority;
    return std::pair(fault_ == Fault::kNoPriorities ? 0 : priority, rank(choice));
  };
  for (const Choice& choice : found) {
    const bool tie = fault_ == Fault::kTiesToTheHigherJob && order(choice) == order(best);
    if (order(choice) > order(best) || tie) best = choice;
  }
  Track& track = tracks_[best.track];
  const std::int64_t done = track.done + (best.ahead ? 1 : 0);
  Claim claim;
  claim.job = track.job;
  claim.track = best.track;
  claim.device = device;
  claim.unit = unit_after(track, done);
  claim.minibatch = done / track.count;
  claim.number = claims_made_++;
  claim.ready = !best.ahead;
  claim.claimed_at = now_;
  claims_.push_back(claim);
  track.last_turn = ++turns_;
  return true;
}

/// The greatest is claimed.
std::int64_t Simulation::rank(const Choice& choice) const {
  const Track& track = tracks_[choice.track];
  const std::int64_t done = track.done + (choice.ahead ? 1 : 0);
  if (policy_ == "lrtf") return remaining(track, done).count();
  if (policy_ == "srtf") return -remaining(track, done).count();
  if (policy_ == "fifo") return -track.ready_since.time_since_epoch().count();
  if (policy_ == "round_robin") return -track.last_turn;
  if (policy_ != "random") throw std::runtime_error(policy_ + ": no policy of the reference's");
  const std::uint64_t minibatch = static_cast<std::uint64_t>(done / track.count);
  const std::uint64_t bits = counter_hash({1, track.job, minibatch, unit_after(track, done)});
  return static_cast<std::int64_t>(bits >> 1);
}

/// What a unit left is settled when it is known who takes the job's next.
void Simulation::settle() {
  for (const Claim& ended : std::exchange(ended_, {})) {
    if (!tracks_memory_ || jobs_[ended.job].state != Job::State::kRunning) continue;
    const Unit* next = nullptr;
    for (const Claim& claim : claims_) {
      if (claim.track == ended.track && claim.device == ended.device) next = &unit_of(claim);
    }
    memory_.settle(ended, next);
  }
}

/// Returns whether anything changed.
bool Simulation::go_on(std::size_t device) {
  const bool reserved = reserve(device);
  start_moves();
  if (!lane_is_free(device)) return reserved;
  if (fault_ == Fault::kUnitsBeforeLaneCopies && start_unit(device)) return true;
  // "Lane copies go before units."
  return start_lane_copy(device) || start_unit(device) || reserved;
}

/// "Claims of one device reserve in the order of claim."
bool Simulation::reserve(std::size_t device) {
  bool any = false;
  for (Claim* claim : claims_on(device)) {
    if (claim->reserved) continue;
    if (tracks_memory_ && !memory_.reserve(*claim, claims_)) break;
    claim->reserved = true;
    claim->reserved_at = now_;
    any = true;
    note_peaks();
  }
  return any;
}

bool Simulation::has_rested(std::size_t device) const {
  const auto ended = lane_ended_.find(device);
  return ended == lane_ended_.end() || ended->second < now_;
}

bool Simulation::start_lane_copy(std::size_t device) {
  Passage* first = nullptr;
  for (auto& [id, passage] : passages_) {
    if (passage.where != Passage::Where::kWaitsForLane || passage.move.device != device) continue;
    if (first == nullptr || passage.order < first->order) first = &passage;
  }
  if (first == nullptr) return false;
  const CopyCost& cost = first->loaded ? program_.copy_loaded : program_.copy_alone;
  const Duration time = copy_time(first->span.bytes, cost.latency, cost.bytes_per_second);
  const bool woken = !first->loaded && time > Duration{} && has_rested(device);
  first->where = Passage::Where::kLane;
  first->span.lane_from = now_;
  first->span.lane_to = now_ + time + (woken ? program_.dispatch_alone : Duration{});
  return true;
}

/// "Run, when everything has arrived and the compute lane is free."
bool Simulation::start_unit(std::size_t device) {
  for (Claim* claim : claims_on(device)) {
    if (!claim->reserved || !claim->ready) continue;
    if (tracks_memory_ && !memory_.arrived(*claim)) continue;
    if (tracks_memory_) memory_.begin(*claim, claims_);
    if (disk_) disk_->changed(claim->job, unit_of(*claim));
    claim->running = true;
    claim->loaded = loaded();
    claim->started_at = now_;
    const bool woken = !loaded() && has_rested(device);
    claim->from = now_ + (woken ? program_.dispatch_alone : program_.dispatch_loaded);
    claim->to = claim->from + cost_of(*claim).total;
    claim->left = static_cast<double>(cost_of(*claim).total.count());
    claim->since = claim->from;
    return true;
  }
  return false;
}

/// "A device may say by what factor its units take longer while a copy passes its link in either
/// direction."
double Simulation::slowness(std::size_t device) const {
  bool there = false, back = false;
  for (const auto& [id, passage] : passages_) {
    const bool passes = passage.where == Passage::Where::kLink && passage.span.link_from <= now_;
    if (!passes || passage.move.device != device) continue;
    if (passage.move.direction == Direction::kPromote) there = true;
    if (passage.move.direction == Direction::kDemote) back = true;
  }
  const DeviceSpec& spec = cluster_.devices[device];
  if (fault_ == Fault::kCopiesDoNotSlow) return 1;
  return (there ? spec.slow_down_promote : 1) * (back ? spec.slow_down_demote : 1);
}

/// "It changes only when the pace does (which is settled once per instant), and ends round up to
/// the next nanosecond."
void Simulation::set_paces() {
  for (Claim& claim : claims_) {
    const double now = slowness(claim.device);
    if (!claim.running || now == claim.slowness) continue;
    if (now_ > claim.since) {  // Else its dispatch is not over.
      claim.left -= static_cast<double>((now_ - claim.since).count()) / claim.slowness;
      claim.since = now_;
    }
    claim.slowness = now;
    claim.to = claim.since + Duration{std::llround(std::ceil(claim.left * now))};
  }
}

/// Slowed in proportion.
Duration Simulation::repeated(const Claim& ended) const {
  const auto [total, part] = cost_of(ended);
  const Duration took = ended.to - ended.from;
  if (took == total) return part;
  const double longer = static_cast<double>(took.count()) / static_cast<double>(total.count());
  // "Less than a thousandth counts as none."
  return Duration{std::llround(std::ceil(static_cast<double>(part.count()) * longer - 1e-3))};
}

void Simulation::note_peaks() {
  if (!tracks_memory_) return;
  for (std::size_t d = 0; d < cluster_.devices.size(); ++d) {
    result_.peak[d] = std::max(result_.peak[d], memory_.used(d, claims_));
  }
}

}  // namespace shardlab::reference
