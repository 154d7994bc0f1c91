#include "exec/runtime.h"

#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <thread>
#include <tuple>

#include <gtest/gtest.h>

#include "core/error.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "tests/instances.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  a = (a ^ (b + 0x9e3779b97f4a7c15u)) * 0xbf58476d1ce4e5b9u;
  return a ^ (a >> 29);
}

/// Work whose data are single numbers: a unit mixes what it reads into what it writes and creates.
/// The end of a job tells whether every unit saw the newest version of everything, without
/// LibTorch, so ThreadSanitizer can watch.
class MixingWork final : public Work {
 public:
  MixingWork(const Program& program, std::size_t devices) : program_(program), devices_(devices) {
    for (std::size_t j = 0; j < program.jobs.size(); ++j) {
      const auto& items = program.jobs[j].items;
      host_.emplace_back(items.size());
      for (std::size_t i = 0; i < items.size(); ++i) host_[j][i] = mix(j, i);
      for (auto& device : devices_) device.emplace_back(items.size());
    }
  }

  void prepare(DeviceId) override {}

  Pass run(const UnitRun& run) override {
    const Unit& unit = program_.jobs[index(run.job)].units[run.unit];
    if (run.job == failing_job && run.minibatch == 1) throw Error("made to fail");
    apply(unit, run.minibatch, devices_[index(run.device)][index(run.job)]);
    return {};
  }

  void copy(const Transfer& transfer) override {
    std::uint64_t& here = devices_[index(transfer.device)][index(transfer.job)][transfer.item];
    std::uint64_t& host = host_[index(transfer.job)][transfer.item];
    (transfer.direction == Direction::kPromote ? here : host) =
        transfer.direction == Direction::kPromote ? host : here;
  }

  void drop(JobId job, ItemIndex item, DeviceId from) override {
    if (from != kNoDevice) devices_[index(from)][index(job)][item] = 0xdead;
  }

  static void apply(const Unit& unit, std::int64_t minibatch, std::vector<std::uint64_t>& items) {
    std::uint64_t value = static_cast<std::uint64_t>(minibatch);
    for (const ItemIndex i : unit.reads) value = mix(value, items[i]);
    for (const ItemIndex i : unit.writes) items[i] = mix(value, items[i]);
    for (const ItemIndex i : unit.creates) items[i] = mix(value, i);
  }

  /// Parameters and state of a job in host memory.
  [[nodiscard]] std::vector<std::uint64_t> result(std::size_t job) const {
    std::vector<std::uint64_t> lasting;
    for (std::size_t i = 0; i < host_[job].size(); ++i) {
      if (program_.jobs[job].items[i].lasting) lasting.push_back(host_[job][i]);
    }
    return lasting;
  }

  JobId failing_job = kNoJob;

 private:
  const Program& program_;
  std::vector<std::vector<std::uint64_t>> host_;
  std::vector<std::vector<std::vector<std::uint64_t>>> devices_;
};

/// The same job alone, one unit after another.
std::vector<std::uint64_t> alone(const Program& program, std::size_t j) {
  const JobProgram& job = program.jobs[j];
  std::vector<std::uint64_t> items(job.items.size());
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = mix(j, i);
  for (std::int64_t minibatch = 0; minibatch < job.minibatches; ++minibatch) {
    for (const Unit& unit : job.units) MixingWork::apply(unit, minibatch, items);
  }
  std::vector<std::uint64_t> lasting;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (job.items[i].lasting) lasting.push_back(items[i]);
  }
  return lasting;
}

struct Drawn {
  Program program;
  Cluster cluster;
};

Drawn draw(std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  const auto pick = [&](int n) {
    return static_cast<int>(generator() % static_cast<std::uint64_t>(n));
  };
  instances::Shape shape;
  shape.jobs = 1 + pick(6);
  shape.shards = 1 + pick(4);
  shape.slots = 1 + pick(3);
  shape.minibatches = 4;
  instances::Case drawn = instances::draw(shape, seed);
  const std::size_t devices = 1 + static_cast<std::size_t>(pick(4));
  for (JobPlan& plan : drawn.plan.jobs) {
    if (pick(3) > 0) continue;
    plan.strategy = Strategy::kModelParallel;
    for (int s = 0; s < shape.shards; ++s)
      plan.device.push_back(device_id(static_cast<std::size_t>(s) % devices));
  }
  if (pick(3) == 0) {
    for (Job& job : drawn.workload.jobs) job.arrival = Duration{pick(3'000'000)};
  }
  LinkSpec link;
  if (pick(2) == 0) link = {Duration{pick(3000)}, 1e7};
  Drawn made{{}, instances::devices(devices, kUnlimited, link, 0)};
  made.program = lower(drawn.workload, made.cluster, drawn.profile, drawn.plan);
  for (DeviceSpec& device : made.cluster.devices)
    device.memory = instances::tight_budget(made.program) + pick(20);
  return made;
}

TEST(Runtime, EveryUnitSeesTheNewestDataUnderRandomPlans) {
  const auto policies = known_policies();
  for (std::uint64_t seed = 0; seed < instances::seeds(150); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Drawn drawn = draw(seed);
    const std::size_t jobs = drawn.program.jobs.size();
    const auto policy = make_policy(std::string(policies[seed % policies.size()].name), jobs, seed);
    MixingWork work(drawn.program, drawn.cluster.devices.size());
    Timeline timeline;
    timeline.devices.resize(drawn.cluster.devices.size());
    {
      Runtime runtime(drawn.cluster, work, nullptr);
      Driver driver(drawn.program, drawn.cluster, *policy, runtime, &timeline, true);
      runtime.run(driver, nullptr);
    }
    expect_valid(timeline, drawn.program);
    for (const UnitSpan& span : timeline.units) {
      ASSERT_GE(span.claimed, drawn.program.jobs[index(span.job)].arrival);
    }
    for (std::size_t j = 0; j < jobs; ++j)
      ASSERT_EQ(work.result(j), alone(drawn.program, j)) << "job " << j;
  }
}

// The wall's clock, not the rule's own figures: no copy ends before its passage.
TEST(Runtime, HoldsACopyBackUntilItsLinkLetsItPass) {
  instances::Case drawn = instances::draw({.jobs = 2, .shards = 2, .minibatches = 2}, 5);
  Cluster cluster = instances::devices(1, kUnlimited, {Duration{200'000}, 1e5}, 0);
  const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
  cluster.devices[0].memory = instances::tight_budget(program);
  const auto policy = make_policy("lrtf", program.jobs.size(), 1);
  MixingWork work(program, 1);
  Timeline timeline;
  timeline.devices.resize(1);
  {
    Runtime runtime(cluster, work, nullptr);
    Driver driver(program, cluster, *policy, runtime, &timeline, true);
    runtime.run(driver, nullptr);
  }
  ASSERT_FALSE(timeline.copies.empty());
  for (const CopySpan& span : timeline.copies) {
    const Duration passage = Duration{200'000} + transfer_time(span.bytes, 1e5);
    EXPECT_GE(span.done - span.asked, passage);
  }
}

TEST(Runtime, AFailedUnitStopsItsJobAloneAtAMinibatchBorder) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Drawn drawn = draw(seed);
    const std::size_t jobs = drawn.program.jobs.size();
    const auto policy = make_policy("lrtf", jobs, 1);
    MixingWork work(drawn.program, drawn.cluster.devices.size());
    work.failing_job = JobId{0};
    Outcome outcome;
    {
      Runtime runtime(drawn.cluster, work, nullptr);
      Driver driver(drawn.program, drawn.cluster, *policy, runtime, nullptr, true);
      outcome = runtime.run(driver, nullptr);
    }
    EXPECT_FALSE(outcome.jobs[0].completed);
    EXPECT_EQ(outcome.jobs[0].reason, "made to fail");
    EXPECT_EQ(outcome.jobs[0].minibatches, 1);
    Program short_program = drawn.program;
    short_program.jobs[0].minibatches = 1;
    EXPECT_EQ(work.result(0), alone(short_program, 0));
    for (std::size_t j = 1; j < jobs; ++j)
      ASSERT_EQ(work.result(j), alone(drawn.program, j)) << "job " << j;
  }
}

TEST(Runtime, AStopEndsItWithWhatRunsAndMoves) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Drawn drawn = draw(seed);
    for (JobProgram& job : drawn.program.jobs) job.minibatches = 1'000'000;
    const auto policy = make_policy("lrtf", drawn.program.jobs.size(), 1);
    MixingWork work(drawn.program, drawn.cluster.devices.size());
    std::atomic<bool> stop{seed % 2 == 0};  // Before it begins, or in its midst.
    Timeline timeline;
    timeline.devices.resize(drawn.cluster.devices.size());
    Outcome outcome;
    {
      Runtime runtime(drawn.cluster, work, nullptr);
      Driver driver(drawn.program, drawn.cluster, *policy, runtime, &timeline, true);
      const std::jthread stopper([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        stop = true;
      });
      outcome = runtime.run(driver, &stop);
    }
    EXPECT_TRUE(outcome.interrupted);
    expect_valid(timeline, drawn.program);
    for (const JobEnd& end : outcome.jobs) EXPECT_EQ(end.reason, "interrupted");
  }
}

/// Work that breaks in a copy: nobody's job alone.
class BrokenWork final : public Work {
 public:
  void prepare(DeviceId) override {}
  Pass run(const UnitRun&) override { return {}; }
  void copy(const Transfer&) override { throw Error("the memory is on fire"); }
  void drop(JobId, ItemIndex, DeviceId) override {}
};

TEST(Runtime, AFailedCopyEndsTheRunWithItsReason) {
  const Drawn drawn = draw(1);
  const auto policy = make_policy("lrtf", drawn.program.jobs.size(), 1);
  BrokenWork work;
  Runtime runtime(drawn.cluster, work, nullptr);
  Driver driver(drawn.program, drawn.cluster, *policy, runtime, nullptr, true);
  try {
    runtime.run(driver, nullptr);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the memory is on fire");
  }
}

}  // namespace
}  // namespace shardlab
