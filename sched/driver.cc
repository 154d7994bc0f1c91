#include "sched/driver.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "sched/driver_view.h"
#include "sched/route.h"

namespace shardlab {

Driver::Driver(const Program& program, const Cluster& cluster, Policy& policy, Backend& backend,
               Timeline* timeline, bool tracks_memory, Tuner* tuner)
    : program_(program),
      cluster_(cluster),
      policy_(policy),
      view_(std::make_unique<DriverView>(*this)),
      backend_(backend),
      timeline_(timeline),
      tuner_(tuner),
      ledger_(program),
      several_devices_(cluster.devices.size() > 1),
      most_slots_(static_cast<std::size_t>(cluster.most_slots(program.slots))),
      claims_(cluster.devices.size() * most_slots_),
      devices_(cluster.devices.size()),
      clocks_(devices_.size()),
      jobs_(program.jobs.size()),
      ends_(jobs_.size()),
      tracks_(ledger_.tracks()),
      empty_(devices_.size()),
      buffering_(devices_.size()),
      touched_(devices_.size()),
      late_(devices_.size()) {
  if (tracks_memory) residency_.emplace(program, cluster, backend.keeps_items());
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    by_arrival_.push_back(job_id(j));
    ends_[j].arrived = program.jobs[j].arrival;
    jobs_[j].kept = program.jobs[j].done;
    jobs_[j].tracks_left = static_cast<std::uint32_t>(ledger_.tracks(job_id(j)));
    if (tuner_ != nullptr && tuner_->waits(job_id(j))) {
      jobs_[j].asked = true;
      jobs_[j].told = tuner_->goal(job_id(j));
    }
    if (tuner_ != nullptr || program.checkpoints.minibatches > 0) set_goal(job_id(j));
  }
  std::stable_sort(by_arrival_.begin(), by_arrival_.end(), [&](JobId a, JobId b) {
    return program.jobs[index(a)].arrival < program.jobs[index(b)].arrival;
  });
  reduces_ = std::ranges::any_of(program.jobs, [](const JobProgram& job) {
    return std::ranges::find(job.units, UnitKind::kReduce, &Unit::kind) != job.units.end();
  });
  const bool nodes = !nodes_of(cluster).empty();
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    empty_.insert(d);
    const DeviceSpec& spec = cluster.devices[d];
    devices_[d].claims =
        Claims(&claims_[d * most_slots_], static_cast<std::size_t>(spec.slots(program.slots)));
    devices_[d].copies_by_lane = spec.copy_engines == 0;
    devices_[d].copies_by_link = spec.copy_engines > 0 || spec.paced() || cluster.disk || nodes;
    devices_[d].link_first = {devices_[d].copies_by_link, spec.copy_engines > 0, true};
  }
  ask_policy();
}

/// What it does not change its mind on.
void Driver::ask_policy() {
  policy_.begin(*view_);
  looks_ahead_ = most_slots_ > 1 && policy_.lookahead();
  policy_awaits_ = policy_.awaits(Instant::min()) < kNever;
  plain_ = !residency_ && tuner_ == nullptr && !policy_awaits_ && most_slots_ == 1;
  always_decides_ = tuner_ != nullptr || timeline_ != nullptr || policy_awaits_ || !residency_;
  if (!residency_ || !policy_.evicts()) return;
  residency_->order_victims([this](JobId job, ItemIndex item,
                                   DeviceId device) { return policy_.worth(job, item, device); },
                            [this](JobId job, ItemIndex item, DeviceId device) {
                              policy_.evicted(job, item, device);
                              if (timeline_ != nullptr)
                                timeline_->evicted.push_back({device, job, item});
                            });
}

void Driver::start() {
  now_ = backend_.now();
  skip_done_jobs();
  await_arrivals();
  decide();
}

void Driver::advance(std::span<const Event> events) {
  const Instant before = std::exchange(now_, backend_.now());
  turn_ = {before == now_ ? turn_.round + 1 : 0, 0};
  bool seldom = false;
  const DeviceId next = foresee();
  for (const Event& event : events) {
    if (const auto* done = std::get_if<UnitDone>(&event)) {
      take_in(*done);
    } else if (const auto* passed = std::get_if<LinkDone>(&event)) {
      take_in(*passed);
    } else {
      std::visit([this](const auto& which) { take_in(which); }, event);
      seldom = true;  // A device was lost, for example: nobody may rely on quiet() seeing it.
    }
  }
  if (seldom || !quiet()) decide();
  fetch_track(next);
}

bool Driver::finished() const {
  if (running_units_ > 0 || transfers_in_flight_ > 0) return false;
  return interrupted_ || ended_jobs_ == jobs_.size() || (stopping_ && all_put_away());
}

// Deciding.

[[gnu::flatten]] void Driver::decide() {
  if (tuner_ != nullptr) consult();
  if (next_waiting_ < next_arrival_ || !released_.empty()) admit_waiting();
  if (!interrupted_) {
    if (most_slots_ > 1) give_back_late_claims();
    fill(false);
    if (most_slots_ > 1) fill(true);
  }
  if (residency_ && !done_.empty()) settle_done();
  move_on();
  if (policy_awaits_) await_next();
  if (timeline_ != nullptr && residency_) sample_memory();
  if ((interrupted_ || stopping_) && finished())
    outcome_.makespan = std::max(outcome_.makespan, now_);
}

/// What has been asked for is started, and what can run now.
[[gnu::flatten]] void Driver::move_on() {
  if (residency_) {
    clean_up();
    start_requested();
  }
  progress();
  const bool ahead = looks_ahead_ && !interrupted_;
  while (ahead && std::exchange(started_, false)) {  // Buffers look ahead of what started.
    fill(true);
    progress();
  }
}

/// Device by device, until nothing changes.
void Driver::progress() {
  if (touched_.empty()) return;
  std::size_t device = touched_.next(0);
  while (true) {
    touched_.erase(device);
    progress(device);
    if (touched_.empty()) return;
    const std::size_t next = touched_.next(device + 1);
    device = next != IdSet::kEnd ? next : touched_.next(0);
  }
}

void Driver::settle_done() {
  for (const Done& done : done_) {
    if (jobs_[index(done.job)].state == Job::State::kRunning) settle(done);
  }
  done_.clear();
}

void Driver::settle(const Done& done) {
  const bool keeps = policy_.keeps(done.job, done.device);
  if (keeps && timeline_ != nullptr) timeline_->units[done.span].kept = true;
  if (!done.dirty && !keeps) return;
  const Track& track = tracks_[index(done.track)];
  const bool here = track.claims > 0 && track.last_claim == done.device;
  residency_->settle(done.job, done.unit, done.device,
                     here ? ledger_.unit(done.track) : Residency::kNoUnit, keeps);
}

void Driver::progress(std::size_t id) {
  Device& device = devices_[id];
  for (Claim& claim : device.claims) {
    if (claim.reserved || interrupted_) continue;
    if (residency_) {
      claim.reservation = residency_->reserve(claim.job, claim.unit, device_id(id));
      if (claim.reservation == Residency::kNoRoom) break;
    }
    claim.reserved = true;
    claim.reserved_at = now_;
  }
  if (residency_) start_requested();
  if (!device.lane_busy) start_next(id);
  if (!plain_) note_lane(id);
}

/// On a lane that is free.
void Driver::start_next(std::size_t id) {
  Device& device = devices_[id];
  if (!device.lane_copies.empty()) {
    const TransferId id_of_copy = device.lane_copies.front();
    device.lane_copies.pop_front();
    device.lane_busy = true;
    backend_.start_lane_copy(residency_->transfer(id_of_copy));
    return;
  }
  start_claimed(id);
}

}  // namespace shardlab
