// Devices that leave and come back, on the simulator.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "policies/tuners.h"
#include "sched/driver.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/scenario.h"

namespace shardlab {
namespace {

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  a = (a ^ (b + 0x9e3779b97f4a7c15u)) * 0xbf58476d1ce4e5b9u;
  return a ^ (a >> 29);
}

using Items = std::vector<std::uint64_t>;  // Of one job, in one memory.

void apply(const Unit& unit, std::int64_t minibatch, Items& items) {
  auto value = static_cast<std::uint64_t>(minibatch);
  for (const ItemIndex i : unit.reads) value = mix(value, items[i]);
  for (const ItemIndex i : unit.writes) items[i] = mix(value, items[i]);
  for (const ItemIndex i : unit.creates) items[i] = mix(value, i);
}

/// On the host: the parameters, and their state, by what a unit left in their place.
void step(const JobProgram& job, ItemIndex item, std::uint64_t gradient, Items& host) {
  for (std::size_t i = 0; i < job.items.size(); ++i) {
    const bool state = job.items[i].kind == ItemKind::kState;
    if (state && job.items[i].shard == job.items[item].shard) host[i] = mix(host[i], gradient);
  }
  host[item] = mix(host[item], gradient);
}

/// A shared item begins alike for all.
std::uint64_t beginning(std::size_t job, std::size_t i, const Item& item) {
  if (item.shared != Item::kNotShared) return mix(77, static_cast<std::uint64_t>(item.shared));
  return mix(job, i);
}

Items begin_items(const Program& program, std::size_t job) {
  Items items;
  for (std::size_t i = 0; i < program.jobs[job].items.size(); ++i) {
    items.push_back(beginning(job, i, program.jobs[job].items[i]));
  }
  return items;
}

/// A simulator that also moves and changes data: single numbers, garbage where they were dropped or
/// lost with a device. So the end of a job tells whether every unit saw the newest of everything.
class DataSimulator final : public Backend {
 public:
  DataSimulator(const Program& program, const Cluster& cluster, Simulator& simulator)
      : program_(program), cluster_(cluster), simulator_(simulator), on_(cluster.devices.size()) {
    for (std::size_t j = 0; j < program.jobs.size(); ++j) {
      host.push_back(begin_items(program, j));
      kept_.push_back(host.back());
      for (auto& device : on_) device.emplace_back(program.jobs[j].items.size(), kGarbage);
    }
  }

  [[nodiscard]] Instant now() const override { return simulator_.now(); }
  void wake_at(Instant instant) override { simulator_.wake_at(instant); }
  void start_unit(const UnitRun& run) override {
    runs_[run.device] = run;
    simulator_.start_unit(run);
  }
  void start_link(const Transfer& transfer) override {
    moving_[transfer.id] = transfer;
    simulator_.start_link(transfer);
  }
  void start_lane_copy(const Transfer& transfer) override {
    moving_[transfer.id] = transfer;
    simulator_.start_lane_copy(transfer);
  }
  void dropped(JobId job, ItemIndex item, DeviceId from) override {
    Items& items = from == kNoDevice ? host[index(job)] : on_[index(from)][index(job)];
    items[item] = kGarbage;
  }
  std::span<const Event> wait() override {
    const auto events = simulator_.wait();
    for (const Event& event : events) take_in(event);
    return events;
  }
  bool snapshot(JobId job, std::int64_t) override {
    kept_[index(job)] = host[index(job)];
    return true;
  }
  bool restore(JobId job, std::int64_t) override {
    const auto& items = program_.jobs[index(job)].items;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].lasting) host[index(job)][i] = kept_[index(job)][i];
    }
    return true;
  }

  std::vector<Items> host;

 private:
  static constexpr std::uint64_t kGarbage = 0xdeaddead;

  void take_in(const Event& event) {
    if (const auto* done = std::get_if<UnitDone>(&event)) {
      const UnitRun& run = runs_.at(done->device);
      apply(program_.jobs[index(run.job)].units[run.unit], run.minibatch,
            on_[index(run.device)][index(run.job)]);
    } else if (const auto* link = std::get_if<LinkDone>(&event)) {
      const Transfer& transfer = moving_.at(link->transfer);
      if (transfer.direction != Direction::kPromote || !by_lane(transfer)) copy(transfer);
    } else if (const auto* lane = std::get_if<LaneCopyDone>(&event)) {
      const Transfer& transfer = moving_.at(lane->transfer);
      const bool passes = cluster_.devices[index(transfer.device)].paced();
      if (transfer.direction == Direction::kPromote || !(passes || transfer.steps)) copy(transfer);
    } else if (const auto* stepped = std::get_if<HostStepped>(&event)) {
      const Transfer& transfer = moving_.at(stepped->transfer);
      step(program_.jobs[index(transfer.job)], transfer.item,
           on_[index(transfer.device)][index(transfer.job)][transfer.item],
           host[index(transfer.job)]);
    } else if (const auto* lost = std::get_if<DeviceLost>(&event)) {
      for (Items& items : on_[index(lost->device)]) std::ranges::fill(items, kGarbage);
    }
  }
  [[nodiscard]] bool by_lane(const Transfer& transfer) const {
    return cluster_.devices[index(transfer.device)].copy_engines == 0;
  }
  void copy(const Transfer& transfer) {
    const auto in = [&](DeviceId device) -> std::uint64_t& {
      return on_[index(device)][index(transfer.job)][transfer.item];
    };
    std::uint64_t& in_host = host[index(transfer.job)][transfer.item];
    if (transfer.direction == Direction::kPromote) in(transfer.device) = in_host;
    if (transfer.direction == Direction::kDemote) in_host = in(transfer.device);
    if (transfer.direction == Direction::kPeer) in(transfer.device) = in(transfer.source);
  }

  const Program& program_;
  const Cluster& cluster_;
  Simulator& simulator_;
  std::vector<std::vector<Items>> on_;  // By device and job.
  std::vector<Items> kept_;
  std::map<DeviceId, UnitRun> runs_;
  std::map<TransferId, Transfer> moving_;
};

/// All units of the job one after another, as its dependencies say.
Items alone(const Program& program, std::size_t j) {
  Items items = begin_items(program, j);
  Ledger ledger(program);
  for (bool moved = true; moved;) {
    moved = false;
    for (const TrackId track : ledger.track_ids(job_id(j))) {
      if (ledger.complete(track) || !ledger.unblocked(track)) continue;
      const Items before = items;
      const JobProgram& job = program.jobs[j];
      apply(ledger.current(track), ledger.minibatch(track), items);
      for (const ItemIndex i : ledger.current(track).writes) {
        if (!job.items[i].host_steps) continue;
        const std::uint64_t gradient = std::exchange(items[i], before[i]);
        step(job, i, gradient, items);
      }
      ledger.advance(track);
      moved = true;
    }
  }
  return items;
}

Items lasting(const Program& program, std::size_t j, const Items& items) {
  Items found;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (program.jobs[j].items[i].lasting) found.push_back(items[i]);
  }
  return found;
}

bool away(const DeviceSpec& device, Instant from, Instant to) {
  for (std::size_t i = 0; i < device.leaves.size(); ++i) {
    const Instant back = i < device.returns.size() ? device.returns[i] : kNever;
    if (from < back && to > device.leaves[i]) return true;
  }
  return false;
}

/// Nothing runs on a device that is away, nothing at the same time on one device.
void expect_there(const Timeline& timeline, const Cluster& cluster) {
  std::vector<Instant> free(cluster.devices.size());
  for (const UnitSpan& span : timeline.units) {
    ASSERT_FALSE(away(cluster.devices[index(span.device)], span.from, span.to));
    ASSERT_GE(span.from, free[index(span.device)]);
    free[index(span.device)] = span.to;
  }
}

struct Lost {
  int devices = 0;
  std::int64_t redone = 0, stopped = 0, tuned = 0;
};

/// Of every other of a few seeds, a search that stops jobs early.
std::unique_ptr<Tuner> draw_tuner(std::uint64_t seed, std::size_t jobs) {
  Workload workload;
  workload.jobs.resize(jobs);
  const std::array methods{StopMethod::kSuccessiveHalving, StopMethod::kAsha,
                           StopMethod::kHyperband};
  if (seed % 5 < methods.size()) {
    workload.early_stop = EarlyStop{methods.at(seed % 5), 2, 1, 4, "", {}, 1};
  }
  return make_tuner(workload);
}

void run(std::uint64_t seed, Lost& sum) {
  const auto policies = known_policies();
  const std::string name(policies[seed % policies.size()].name);
  auto [program, cluster] = scenarios::lower(scenarios::draw(seed, name));
  scenarios::draw_absences(seed, seed % 2 == 0, cluster);
  if (seed % 3 == 0) program.checkpoints.minibatches = 1;
  const Program before = program;
  EstimatedCosts costs(program);
  Simulator simulator(program, cluster, costs);
  DataSimulator data(program, cluster, simulator);
  const auto policy = make_policy(name, program, 1);
  Timeline timeline;
  timeline.devices.resize(cluster.devices.size());
  const auto tuner = draw_tuner(seed, program.jobs.size());
  Driver driver(program, cluster, *policy, data, &timeline, true, tuner.get());
  driver.may_lose_devices(program);
  const Outcome outcome = drive(driver, data);
  expect_there(timeline, cluster);
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    if (!outcome.jobs[j].completed) {
      const bool no_room = outcome.jobs[j].reason == kNoRoomLeft;
      ASSERT_TRUE(no_room || tuner) << outcome.jobs[j].reason;
      ++(no_room ? sum.stopped : sum.tuned);
      continue;
    }
    ASSERT_EQ(lasting(before, j, data.host[j]), lasting(before, j, alone(before, j)))
        << "job " << j;
  }
  sum.devices += outcome.devices_lost;
  sum.redone += outcome.redone;
}

TEST(LostDevices, ResultsAreThoseOfARunThatLosesNone) {
  Lost sum;
  for (std::uint64_t seed = 0; seed < instances::seeds(1500); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ASSERT_NO_THROW(run(seed, sum));
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(sum.devices, 1000);
  EXPECT_GT(sum.redone, 1000);
  EXPECT_GT(sum.stopped, 0);
  EXPECT_GT(sum.tuned, 100);
}

Outcome simulate_chains(const std::vector<std::vector<int>>& jobs, const Cluster& cluster,
                        Timeline* timeline = nullptr) {
  const Program program = instances::chains(jobs);
  EstimatedCosts costs(program);
  const auto policy = make_policy("fifo", program, 1);
  return simulate(program, cluster, *policy, costs, timeline);
}

// A on one device that is away from 4 to 10:  AAAa......AAA
TEST(LostDevices, AUnitThatRanThereBeginsAgainWhenItIsBack) {
  Cluster cluster = instances::devices(1);
  cluster.devices[0].leaves = {Instant{Duration{4}}};
  cluster.devices[0].returns = {Instant{Duration{10}}};
  Timeline timeline;
  const Outcome outcome = simulate_chains({{3, 3}}, cluster, &timeline);
  EXPECT_EQ(outcome.makespan, Instant{Duration{13}});
  EXPECT_EQ(outcome.redone, 1);
  EXPECT_EQ(outcome.devices_lost, 1);
  EXPECT_EQ(outcome.units, 2);
  ASSERT_EQ(timeline.units.size(), 2U);
  EXPECT_EQ(timeline.units[0].attempt, 1);
  EXPECT_EQ(timeline.units[1].attempt, 2);
}

// A goes on on the other device at once:  AAAa
//                                         ....AAA
// The same: what ran came to nothing, and counts as neither computing nor waiting.
TEST(LostDevices, WhatIsLostAndWhoIsAwayIsTold) {
  Cluster cluster = instances::devices(1);
  cluster.devices[0].leaves = {Instant{Duration{4}}};
  cluster.devices[0].returns = {Instant{Duration{10}}};
  Timeline timeline;
  const Outcome outcome = simulate_chains({{3, 3}}, cluster, &timeline);
  const LaneTime lane = outcome.lanes.at(0);
  EXPECT_EQ(lane.busy, Duration{6});
  EXPECT_EQ(lane.lost, Duration{1});
  EXPECT_EQ(lane.absent, Duration{6});
  EXPECT_EQ(lane.sum(), Duration{13});
  EXPECT_EQ(timeline.lanes.at(0).absent, Duration{6});
}

// A held job too large for the other device waits for its own, chosen at admission or bound.
TEST(LostDevices, WhatNoOtherHasRoomForWaitsForItsReturn) {
  for (const bool resident : {true, false}) {
    scenarios::Scenario scenario;
    scenario.spare = {0, 0};
    scenarios::ScenarioJob job;
    job.minibatches = 2;
    job.shards.resize(1);
    job.strategy = resident ? Strategy::kResident : Strategy::kModelParallel;
    job.recompute = false;
    if (!resident) job.bound = {0};
    scenario.jobs = {job};
    auto [program, cluster] = scenarios::lower(scenario);
    ASSERT_TRUE(program.jobs[0].held);
    cluster.devices[1].memory = program.jobs[0].peak[0] - 1;
    EstimatedCosts costs(program);
    const auto undisturbed =
        simulate(program, cluster, *make_policy("fifo", program, 1), costs, nullptr);
    ASSERT_TRUE(undisturbed.jobs[0].completed);
    cluster.devices[0].leaves = {Instant{Duration{1}}};
    cluster.devices[0].returns = {Instant{Duration{50}}};
    const auto waited =
        simulate(program, cluster, *make_policy("fifo", program, 1), costs, nullptr);
    EXPECT_TRUE(waited.jobs[0].completed) << waited.jobs[0].reason;
    EXPECT_EQ(waited.makespan, undisturbed.makespan + Duration{50});
    cluster.devices[0].returns.clear();
    const auto stopped =
        simulate(program, cluster, *make_policy("fifo", program, 1), costs, nullptr);
    EXPECT_EQ(stopped.jobs[0].reason, kNoRoomLeft);
  }
}

TEST(LostDevices, ItsUnitsRunElsewhereAtOnce) {
  Cluster cluster = instances::devices(2);
  cluster.devices[0].leaves = {Instant{Duration{4}}};
  EXPECT_EQ(simulate_chains({{3, 3}}, cluster).makespan, Instant{Duration{7}});
}

TEST(LostDevices, WhatEndsAtTheInstantOfTheLossHasEnded) {
  Cluster cluster = instances::devices(2);
  cluster.devices[0].leaves = {Instant{Duration{3}}};
  const Outcome outcome = simulate_chains({{3, 3}}, cluster);
  EXPECT_EQ(outcome.makespan, Instant{Duration{6}});
  EXPECT_EQ(outcome.units, 2);
}

TEST(LostDevices, TheRunEndsWhenNoneIsLeft) {
  Cluster cluster = instances::devices(2);
  for (DeviceSpec& device : cluster.devices) device.leaves = {Instant{Duration{4}}};
  EXPECT_EQ(error_of([&] {
              simulate_chains({{3, 3}, {9}}, cluster);
            }),
            "no device is left, and 2 jobs have not ended");
}

}  // namespace
}  // namespace shardlab
