#include "sim/simulator.h"

#include <algorithm>
#include <utility>

#include "sched/limits.h"

namespace shardlab {

Simulator::Simulator(const Program& program, const Cluster& cluster, Costs& costs)
    : program_(program),
      cluster_(cluster),
      costs_(costs),
      all_vary_(costs.all_vary()),
      lanes_(cluster.devices.size()),
      queues_(link_count(cluster)),
      lane_ends_(cluster.devices.size()),
      link_ends_(queues_.size()) {
  for (Lane& lane : lanes_) lane.unit.to = Instant{Duration{-1}};  // All have rested.
  const auto& devices = cluster.devices;
  if (std::ranges::any_of(devices, [](auto& device) { return device.parent != kNoSwitch; })) {
    fair_links_.emplace(cluster);
  }
  if (std::ranges::any_of(devices, [](auto& device) {
        return device.slow_down_promote != 1 || device.slow_down_demote != 1;
      })) {
    paces_.resize(devices.size());
  }
  if (cluster.disk) disk_.emplace(program, cluster, all_vary_ ? &costs : nullptr);
  if (steps_on_host(program)) steps_.emplace(cluster);
  contended_ = fair_links_ || !paces_.empty() || disk_ || steps_;
  const bool one_node = nodes_of(cluster).empty();
  for (std::size_t d = 0; d < devices.size(); ++d) {
    const bool costs_say = all_vary_ || (devices[d].copy_engines > 0 && !costs.engines_keep_pace());
    for (const Direction direction : {Direction::kPromote, Direction::kDemote}) {
      Transfer transfer;
      transfer.device = device_id(d);
      transfer.direction = direction;
      ways_.push_back({direction == Direction::kPromote ? devices[d].link : devices[d].link_back(),
                       link_index(cluster, transfer), costs_say,
                       !costs_say && !disk_ && !steps_ && one_node});
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
  lane.unit.device = run.device;
  lane.unit.job = run.job;
  lane.unit.attempt = run.attempt;
  lane.unit.recompute = cost.recompute;
  const bool woken = !run.loaded && has_rested(lane);
  Duration dispatch = woken ? program_.dispatch_alone : program_.dispatch_loaded;
  if (all_vary_) dispatch = costs_.dispatch(run, dispatch);
  lane.unit.from = now_ + dispatch;
  begin_lane(index(run.device), lane.unit.from + cost.total);
  if (!paces_.empty()) start_pace(index(run.device), cost.total);
  if (disk_) disk_->changed(run.job, program_.jobs[index(run.job)].units[run.unit]);
}

void Simulator::start_lane_copy(const Transfer& transfer) {
  Lane& lane = lanes_[index(transfer.device)];
  lane.copies = true;
  lane.transfer = transfer.id;
  lane.unit.from = now_;
  const Duration time = costs_.lane_copy(transfer);
  const bool woken = !transfer.loaded && time > Duration{} && has_rested(lane);
  begin_lane(index(transfer.device), now_ + time + (woken ? program_.dispatch_alone : Duration{}));
}

void Simulator::set_paces() {
  for (const std::size_t device : repaced_) set_pace(device);
  repaced_.clear();
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
  pace.since = lanes_[device].unit.from;
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
  const Duration took = now_ - lanes_[device].unit.from;
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
      loses || cluster.disk || steps_on_host(program) ||
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
