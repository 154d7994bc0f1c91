#include "exec/runtime.h"

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "core/error.h"
#include "exec/execution.h"
#include "policies/registry.h"
#include "policies/tuners.h"
#include "sched/lower.h"
#include "tests/error_of.h"
#include "tests/mixing_work.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

/// Of a run to its end.
Timeline timeline_of(const Program& program, const Cluster& cluster, Policy& policy, Work& work) {
  Timeline timeline;
  timeline.devices.resize(cluster.devices.size());
  {
    Runtime runtime(cluster, work, {});
    Driver driver(program, cluster, policy, runtime, &timeline, true);
    runtime.run(driver, nullptr);
  }  // All lanes have ended.
  return timeline;
}

TEST(Runtime, EveryUnitSeesTheNewestDataUnderRandomPlans) {
  const auto policies = known_policies();
  for (std::uint64_t seed = 0; seed < instances::seeds(150); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Drawn drawn = draw(seed);
    const std::size_t jobs = drawn.program.jobs.size();
    const auto policy = make_policy(std::string(policies[seed % policies.size()].name), jobs, seed);
    MixingWork work(drawn.program, drawn.cluster.devices.size());
    const Timeline timeline = timeline_of(drawn.program, drawn.cluster, *policy, work);
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
  for (const int engines : {0, 1, 2}) {
    SCOPED_TRACE(testing::Message() << engines << " copy engines");
    instances::Case drawn = instances::draw({.jobs = 2, .shards = 2, .minibatches = 2}, 5);
    Cluster cluster = instances::devices(1, kUnlimited, {Duration{200'000}, 1e5}, engines);
    const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
    cluster.devices[0].memory = instances::tight_budget(program);
    const auto policy = make_policy("lrtf", program.jobs.size(), 1);
    MixingWork work(program, 1);
    const Timeline timeline = timeline_of(program, cluster, *policy, work);
    ASSERT_FALSE(timeline.copies.empty());
    for (const CopySpan& span : timeline.copies) {
      const Duration passage = Duration{200'000} + transfer_time(span.bytes, 1e5);
      EXPECT_GE(span.done - span.asked, passage);
    }
  }
}

/// Every other copy takes longer than its passage.
class UnevenWork final : public MixingWork {
 public:
  using MixingWork::MixingWork;
  void copy(const Transfer& transfer) override {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(150);
    const bool slow = copies_++ % 2 == 1;
    while (slow && std::chrono::steady_clock::now() < until) {
    }
    MixingWork::copy(transfer);
  }

 private:
  std::atomic<int> copies_ = 0;
};

/// First come, first served, on each link of its own.
void expect_in_order(const Timeline& timeline, const Cluster& cluster) {
  for (const CopySpan& a : timeline.copies) {
    for (const CopySpan& b : timeline.copies) {
      const bool same_link =
          a.device == b.device &&
          (a.direction == b.direction || cluster.devices[index(a.device)].copy_engines == 1);
      if (!same_link || a.asked >= b.asked) continue;
      ASSERT_LE(a.link_from, b.link_from);
    }
  }
}

TEST(Runtime, CopiesOfAnEnginePassInOrderWhicheverAreSlow) {
  for (const int engines : {1, 2}) {
    SCOPED_TRACE(testing::Message() << engines << " copy engines");
    const instances::Case drawn =
        instances::draw({.jobs = 4, .shards = 3, .minibatches = 6, .slots = 3}, 5);
    Cluster cluster = instances::devices(1, kUnlimited, {Duration{50'000}, 0}, engines);
    const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
    cluster.devices[0].memory = instances::tight_budget(program);
    const auto policy = make_policy("fifo", program.jobs.size(), 1);
    UnevenWork work(program, 1);
    const Timeline timeline = timeline_of(program, cluster, *policy, work);
    expect_valid(timeline, program);
    expect_in_order(timeline, cluster);
    for (std::size_t j = 0; j < program.jobs.size(); ++j)
      EXPECT_EQ(work.result(j), alone(program, j)) << "job " << j;
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
      Runtime runtime(drawn.cluster, work, {});
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

/// Jobs with drawn losses.
Workload searched(std::size_t jobs, StopMethod method) {
  Workload workload;
  workload.jobs.resize(jobs);
  workload.early_stop = EarlyStop{method, 2, 1, 4, "", {}, 1};
  return workload;
}

TEST(Runtime, JobsThatATunerPausesAndStopsLoseNothing) {
  const auto policies = known_policies();
  for (std::uint64_t seed = 0; seed < instances::seeds(60); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Drawn drawn = draw(seed);
    const std::size_t jobs = drawn.program.jobs.size();
    const auto policy = make_policy(std::string(policies[seed % policies.size()].name), jobs, seed);
    const Workload workload =
        searched(jobs, std::array{StopMethod::kSuccessiveHalving, StopMethod::kAsha,
                                  StopMethod::kHyperband}[seed / 3 % 3]);
    const auto tuner = make_tuner(workload);
    MixingWork work(drawn.program, drawn.cluster.devices.size());
    RunOptions options;
    options.tuner = tuner.get();
    Observer observer(drawn.program, options);
    const RunResult result = execute(drawn.program, drawn.cluster, *policy,
                                     {std::shared_ptr<void>(), &work}, observer, options);
    expect_valid(result.timeline, drawn.program);
    for (std::size_t j = 0; j < jobs; ++j) {
      Program shorter = drawn.program;
      shorter.jobs[j].minibatches = result.outcome.jobs[j].minibatches;
      EXPECT_GT(shorter.jobs[j].minibatches, 0);
      ASSERT_EQ(work.result(j), alone(shorter, j)) << "job " << j;
    }
  }
}

// At whatever it is then: in its last minibatch, at a border where it is kept, at a rung.
TEST(Runtime, AStepOnTheHostThatFailsStopsItsJobAlone) {
  int failed = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(150); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Drawn drawn = draw(seed);
    const std::size_t jobs = drawn.program.jobs.size();
    std::size_t failing = 0;
    while (failing < jobs && drawn.program.jobs[failing].host_step.empty()) ++failing;
    if (failing == jobs) continue;
    drawn.program.checkpoints.minibatches = static_cast<std::int64_t>(seed % 3);
    const auto policy = make_policy("lrtf", jobs, seed);
    const Workload workload = searched(jobs, StopMethod::kSuccessiveHalving);
    const auto tuner = seed % 4 == 0 ? make_tuner(workload) : nullptr;
    MixingWork work(drawn.program, drawn.cluster.devices.size());
    work.failing_step = job_id(failing);
    work.steps_before_failure = static_cast<int>(seed % 7);
    RunOptions options;
    options.tuner = tuner.get();
    std::vector<std::string> reasons;
    options.progress = [&](const RunProgress& now) {
      if (!now.reason.empty() && !now.tuned) reasons.push_back(now.reason);
    };
    Observer observer(drawn.program, options);
    const RunResult result = execute(drawn.program, drawn.cluster, *policy,
                                     {std::shared_ptr<void>(), &work}, observer, options);
    for (std::size_t j = 0; j < jobs; ++j) {
      Program shorter = drawn.program;
      shorter.jobs[j].minibatches = result.outcome.jobs[j].minibatches;
      if (j != failing || work.steps_before_failure >= 0) {  // Else a step was missing.
        ASSERT_EQ(work.result(j), alone(shorter, j)) << "job " << j;
      }
    }
    if (reasons.empty()) continue;  // Its tuner stopped it before.
    EXPECT_EQ(work.steps_before_failure, -1) << "no further step is tried";
    ++failed;
    EXPECT_EQ(reasons, std::vector<std::string>{"a step on the host: made to fail"});
    EXPECT_FALSE(result.outcome.jobs[failing].completed);
    if (tuner) continue;
    EXPECT_EQ(result.outcome.jobs[failing].reason, reasons.front());
  }
  EXPECT_GT(failed, 50);
}

TEST(Runtime, AStopEndsItWithWhatRunsAndMoves) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Drawn drawn = draw(seed);
    for (JobProgram& job : drawn.program.jobs) job.minibatches = 1'000'000;
    const auto policy = make_policy("lrtf", drawn.program.jobs.size(), 1);
    MixingWork work(drawn.program, drawn.cluster.devices.size());
    std::atomic<bool> stop{seed % 2 == 0};  // Before it begins, or in its midst.
    Timeline timeline;
    timeline.devices.resize(drawn.cluster.devices.size());
    Outcome outcome;
    {
      Runtime runtime(drawn.cluster, work, {});
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

/// Work that breaks in a copy one way: nobody's job alone.
class BrokenWork final : public Work {
 public:
  explicit BrokenWork(Direction broken) : broken_(broken) {}
  void prepare(DeviceId, Engine) override {}
  Pass run(const UnitRun&) override { return {}; }
  void copy(const Transfer& transfer) override {
    if (transfer.direction == broken_) throw Error("the memory is on fire");
  }
  void drop(JobId, ItemIndex, DeviceId) override {}

 private:
  Direction broken_;
};

/// The Error that ends a run with `work`.
std::string failure_of(const Drawn& drawn, Work& work) {
  const auto policy = make_policy("lrtf", drawn.program.jobs.size(), 1);
  Program driven = drawn.program;
  Runtime runtime(drawn.cluster, work, {});
  Driver driver(driven, drawn.cluster, *policy, runtime, nullptr, true);
  driver.may_lose_devices(driven);
  return error_of([&] { runtime.run(driver, nullptr); });
}

TEST(Runtime, FailedCopiesOnAllDevicesEndTheRunWithTheirReason) {
  int failed = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Drawn drawn = draw(seed);
    for (const Direction broken : {Direction::kPromote, Direction::kDemote}) {
      BrokenWork work(broken);
      const std::string error = failure_of(drawn, work);
      if (error == "no error") continue;  // Every job stopped, when a device was left.
      EXPECT_NE(error.find(": the memory is on fire"), std::string::npos) << error;
      ++failed;
    }
  }
  EXPECT_GT(failed, 12);
}

/// Work that knows on which thread each engine was prepared, and that may fail there.
class PreparedWork final : public Work {
 public:
  using Thread = std::pair<DeviceId, Engine>;

  explicit PreparedWork(const Cluster& cluster) : cluster_(cluster) {
    for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
      const int engines = cluster.devices[d].copy_engines;
      threads.insert({device_id(d), Engine::kCompute});
      if (engines > 0) threads.insert({device_id(d), Engine::kPromote});
      if (engines > 1) threads.insert({device_id(d), Engine::kDemote});
      if (cluster.devices[d].peer) threads.insert({device_id(d), Engine::kSend});
    }
  }

  void prepare(DeviceId device, Engine engine) override {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(prepared_.emplace(Thread{device, engine}, std::this_thread::get_id()).second);
    if (failing == Thread{device, engine}) throw Error("no such device");
  }
  Pass run(const UnitRun& run) override {
    expect_prepared({run.device, Engine::kCompute});
    return {};
  }
  void copy(const Transfer& transfer) override {
    if (transfer.direction == Direction::kPeer) {
      return expect_prepared({transfer.source, Engine::kSend});
    }
    const int engines = cluster_.devices[index(transfer.device)].copy_engines;
    const bool back = transfer.direction == Direction::kDemote && engines == 2;
    const Engine engine = back ? Engine::kDemote : Engine::kPromote;
    expect_prepared({transfer.device, engines == 0 ? Engine::kCompute : engine});
  }
  void drop(JobId, ItemIndex, DeviceId) override {}

  std::set<Thread> threads;  ///< All that the cluster has.
  Thread failing{kNoDevice, Engine::kCompute};

 private:
  void expect_prepared(const Thread& thread) {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(prepared_.size(), threads.size()) << "something began before all were prepared";
    EXPECT_EQ(prepared_[thread], std::this_thread::get_id());
  }

  const Cluster& cluster_;
  std::mutex mutex_;
  std::map<Thread, std::thread::id> prepared_;
};

TEST(Runtime, PreparesEveryThreadOnceBeforeAnythingBeginsAndWorksThere) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Drawn drawn = draw(seed);
    PreparedWork work(drawn.cluster);
    EXPECT_EQ(failure_of(drawn, work), "no error");
  }
}

TEST(Runtime, AThreadThatCannotBePreparedEndsTheRunBeforeItBegins) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const Drawn drawn = draw(seed);
    for (const PreparedWork::Thread& thread : PreparedWork(drawn.cluster).threads) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", device " << index(thread.first)
                                      << ", engine " << static_cast<int>(thread.second));
      PreparedWork work(drawn.cluster);
      work.failing = thread;
      EXPECT_EQ(failure_of(drawn, work), "no such device");
    }
  }
}

TEST(Runtime, RefusesToPaceLinksThatShareAParent) {
  Cluster cluster = instances::devices(1, kUnlimited, {}, 2);
  cluster.switches = {{"pcie0", 1e9, 1e9, 0, kNoSwitch}};
  const auto refused = [&] { return error_of([&] { refuse_shared_pacing(cluster); }); };
  EXPECT_EQ(refused(), "no error");
  DeviceSpec& device = cluster.devices[0];
  device.parent = 0;
  EXPECT_EQ(refused(), "no error");  // Copies take what they take; the parent is simulated.
  device.back = LinkSpec{Duration{1}, 0};
  EXPECT_EQ(refused(),
            "device d0: parent: a run cannot pace links that share pcie0; simulate it, or give it "
            "copy_engines and no link, so that copies take what they take");
  device.back.reset();
  device.copy_engines = 0;
  EXPECT_NE(refused(), "no error");
  device.parent = kNoSwitch;
  EXPECT_EQ(refused(), "no error");
}

}  // namespace
}  // namespace shardlab
