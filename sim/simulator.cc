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
      lane_ends_(cluster.devices.size()),
      link_ends_(links_.size()) {}

void Simulator::start_unit(const UnitRun& run) {
  const UnitCost cost = costs_.unit(run);
  Lane& lane = lanes_[index(run.device)];
  lane.copies = false;
  lane.job = run.job;
  lane.attempt = run.attempt;
  lane.recompute = cost.recompute;
  lane.from = now_ + (run.loaded ? program_.dispatch_loaded : program_.dispatch_alone);
  begin_lane(index(run.device), lane.from + cost.total);
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
  passing_[link].push_back({transfer.id, passage});
  if (passing_[link].size() == 1) set_end(link_ends_, link, passage.to);
}

std::span<const Event> Simulator::wait() {
  events_.clear();
  if (reported_lane_ != kNone) lane_ends_.clear(reported_lane_);
  reported_lane_ = kNone;
  const WinnerTree::Key instant =
      std::max({lane_ends_.top(), link_ends_.top(), -wake_.time_since_epoch().count()});
  if (instant <= -kNever.time_since_epoch().count()) return events_;
  now_ = Instant{Duration{-instant}};
  if (lane_ends_.top() == instant) end_lanes(instant);
  while (link_ends_.top() == instant) end_of_link(link_ends_.winner());
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

void Simulator::end_of_lane(std::size_t device) {
  const Lane& lane = lanes_[device];
  if (lane.copies) {
    events_.emplace_back(std::in_place_type<LaneCopyDone>, lane.transfer, lane.from, now_);
  } else {
    events_.emplace_back(std::in_place_type<UnitDone>, device_id(device), lane.job, lane.attempt,
                         lane.from, now_, lane.recompute);
  }
}

void Simulator::end_of_link(std::size_t link) {
  auto& queue = passing_[link];
  const Passing done = queue.front();
  queue.pop_front();
  events_.emplace_back(LinkDone{done.transfer, done.passage.from, done.passage.to});
  if (queue.empty()) {
    link_ends_.clear(link);
  } else {
    set_end(link_ends_, link, queue.front().passage.to);
  }
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
