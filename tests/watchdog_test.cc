// Who is to blame for what does not end, and what is said of jobs whose units fail; without
// LibTorch, so that ThreadSanitizer can watch. Clocks of watchdogs are the tests' own.
#include <array>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "exec/execution.h"
#include "exec/runtime.h"
#include "policies/planner.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "tests/error_of.h"
#include "tests/instances.h"

namespace shardlab {
namespace {

/// Work without data whose units do what a test wants of them.
class ScriptedWork : public Work {
 public:
  std::function<void(const UnitRun&)> unit = [](const UnitRun&) {};
  std::function<void(const Transfer&)> move = [](const Transfer&) {};
  std::function<DeviceId(DeviceId)> waits_for = [](DeviceId) { return kNoDevice; };
  std::function<void(DeviceId)> on_lost = [](DeviceId) {};
  std::function<void()> on_prepare = [] {};

  void prepare(DeviceId, Engine) override { on_prepare(); }
  Pass run(const UnitRun& run) override {
    unit(run);
    return {};
  }
  void copy(const Transfer& transfer) override { move(transfer); }
  void drop(JobId, ItemIndex, DeviceId) override {}
  [[nodiscard]] DeviceId awaited(DeviceId device) const override { return waits_for(device); }
  void lose(DeviceId device) override { on_lost(device); }
};

/// What threads of a test tell each other.
class Signal {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

/// Stands still, or goes on by a step whenever it is read, so that nothing depends on how fast a
/// machine is.
struct SteppedClock {
  static constexpr Duration kStep = std::chrono::milliseconds(10);
  std::atomic<bool> runs = false;
  std::atomic<Duration::rep> time = 0;
  std::atomic<int> reads = 0;
  Instant operator()() {
    ++reads;
    if (runs) time += kStep.count();
    return Instant{Duration{time}};
  }
  [[nodiscard]] Watch watch() {
    return {std::chrono::milliseconds(100), 1, {}, [this] { return (*this)(); }};
  }
};

struct Told {
  std::vector<std::pair<DeviceId, std::string>> lost;
  std::vector<std::string> stopped;
  std::vector<std::int64_t> went_back;
  Outcome outcome;
};

Told run(
    const Program& program, const Cluster& cluster, Work& work, Watch watch,
    const std::function<void(Runtime&)>& at_the_end = [](Runtime&) {}) {
  Told told;
  Runtime::Observer observer;
  observer.lost = [&](DeviceId device, const std::string& why) {
    told.lost.emplace_back(device, why);
  };
  observer.stopped = [&](JobId, const std::string& why) { told.stopped.push_back(why); };
  observer.went_back = [&](JobId, std::int64_t minibatches) {
    told.went_back.push_back(minibatches);
  };
  Program driven = program;
  const auto policy = make_policy("fifo", driven, 1);
  Runtime runtime(cluster, work, observer, std::move(watch));
  Driver driver(driven, cluster, *policy, runtime, nullptr, true);
  driver.may_lose_devices(driven);
  try {
    told.outcome = runtime.run(driver, nullptr);
  } catch (...) {
    at_the_end(runtime);
    throw;
  }
  at_the_end(runtime);
  return told;
}

Watch unwatched() { return {Duration{}, 0, {}, {}}; }

// As in a reduction of gradients: one adds up and hangs, and the other's unit has run as long.
TEST(Watchdog, BlamesTheDeviceThatHangsAndNotTheOneThatWaitsForIt) {
  for (const DeviceId hanging : {device_id(0), device_id(1)}) {
    SCOPED_TRACE(testing::Message() << "device " << index(hanging) << " hangs");
    const DeviceId waiting = device_id(1 - index(hanging));
    SteppedClock clock;
    Signal hangs, lost, released;
    std::atomic<bool> waits = false;
    ScriptedWork work;
    work.unit = [&](const UnitRun& run) {
      if (run.device == hanging) {
        hangs.set();
        released.wait();
      } else if (!clock.runs.exchange(true)) {
        hangs.wait();
        waits = true;
        lost.wait();
        waits = false;
      }
    };
    work.waits_for = [&](DeviceId device) {
      return device == waiting && waits ? hanging : kNoDevice;
    };
    work.on_lost = [&](DeviceId device) {
      if (device == hanging) clock.runs = false;
      lost.set();
    };
    const Told told = run(instances::chains({{1}, {1}, {1}}), instances::devices(2), work,
                          clock.watch(), [&](Runtime&) { released.set(); });
    ASSERT_EQ(told.lost.size(), 1U);
    EXPECT_EQ(told.lost[0].first, hanging);
    EXPECT_EQ(told.lost[0].second, "what its lane does did not end within 0.1 s");
    for (const JobEnd& end : told.outcome.jobs) EXPECT_TRUE(end.completed);
  }
}

// A process that was stopped and goes on, or a machine: no unit could have ended meanwhile.
TEST(Watchdog, DoesNotCountTimeInWhichItDidNotRunItself) {
  SteppedClock clock;
  Signal polled;
  std::atomic<bool> in_unit = false, paused = false;
  ScriptedWork work;
  work.unit = [&](const UnitRun&) {
    if (paused) return;
    in_unit = true;
    polled.wait();
  };
  Watch watch = clock.watch();
  watch.clock = [&] {
    if (in_unit && !paused.exchange(true)) clock.time += Duration(std::chrono::hours(1)).count();
    const Instant now = clock();
    if (paused && clock.reads > 20) polled.set();
    return now;
  };
  const Told told = run(instances::chains({{1}}), instances::devices(1), work, std::move(watch),
                        [&](Runtime&) { polled.set(); });
  EXPECT_TRUE(paused);
  EXPECT_TRUE(told.lost.empty());
  EXPECT_TRUE(told.outcome.jobs[0].completed);
}

/// Jobs that all strategies can run, by one of them.
Program planned(const std::string& strategy, int jobs, const Cluster& cluster) {
  instances::Case drawn = instances::draw({.jobs = jobs, .shards = 2, .minibatches = 3}, 7);
  for (Job& job : drawn.workload.jobs) job.batch = 4;
  const std::vector<ModelProfile> models = drawn.profile.models;
  drawn.profile.models.clear();
  for (ModelProfile entry : models) {
    for (entry.batch = 1; entry.batch <= 4; ++entry.batch) drawn.profile.models.push_back(entry);
  }
  PlanChoice choice;
  choice.strategy = parse_strategy_choice(strategy);
  return lower(drawn.workload, cluster, drawn.profile,
               make_plan(drawn.workload, cluster, drawn.profile, choice));
}

// A copy that goes straight to a device that hangs may hang for that alone: when that one is lost,
// the sender's time begins anew.
TEST(Watchdog, WhoSendsToADeviceThatIsLostIsNotLostForThat) {
  Cluster cluster = instances::devices(2);
  for (DeviceSpec& device : cluster.devices) device.peer = LinkSpec{};
  SteppedClock clock;
  Signal sends, computes, released;
  ScriptedWork work;
  std::atomic<int> sent = 0;
  work.unit = [&](const UnitRun& run) {
    if (run.device != device_id(1)) return;
    computes.set();
    released.wait();
  };
  work.move = [&](const Transfer& transfer) {
    if (transfer.direction != Direction::kPeer || ++sent < 2) return;
    computes.wait();
    clock.runs = true;
    released.wait();
  };
  work.on_lost = [&](DeviceId) { released.set(); };
  const Told told = run(planned("model_parallel", 2, cluster), cluster, work, clock.watch());
  EXPECT_GE(sent, 2);
  ASSERT_EQ(told.lost.size(), 1U);
  EXPECT_EQ(told.lost[0].first, device_id(1));
  for (const JobEnd& end : told.outcome.jobs) EXPECT_TRUE(end.completed) << end.reason;
}

// It goes back, as its memory lay there: what its units say meanwhile is of no account.
TEST(Watchdog, AJobWhoseUnitFailsForALostDeviceIsNotSaidToBeStopped) {
  const Cluster cluster = instances::devices(2);
  using Failing = std::pair<const char*, bool>;  // A strategy; whether the unit knows why.
  for (const auto& [strategy, knows] :
       {Failing{"model_parallel", true}, Failing{"data_parallel(2,resident)", true},
        Failing{"data_parallel(2,resident)", false}}) {
    SCOPED_TRACE(testing::Message() << strategy << ", knows why: " << knows);
    std::atomic<bool> failed = false;
    Runtime* running = nullptr;
    ScriptedWork work;
    work.unit = [&](const UnitRun& run) {
      if (run.device != device_id(1) || failed.exchange(true)) return;
      if (knows) throw DeviceFailure("made to fail", device_id(0));
      running->take_out(device_id(0), "made to fail");
      throw Error("what it reads is gone");
    };
    Told told;
    Runtime::Observer observer;
    observer.lost = [&](DeviceId device, const std::string& why) {
      told.lost.emplace_back(device, why);
    };
    observer.stopped = [&](JobId, const std::string& why) { told.stopped.push_back(why); };
    observer.went_back = [&](JobId, std::int64_t to) { told.went_back.push_back(to); };
    Program driven = planned(strategy, 1, cluster);
    const auto policy = make_policy("fifo", driven, 1);
    Runtime runtime(cluster, work, observer, unwatched());
    running = &runtime;
    Driver driver(driven, cluster, *policy, runtime, nullptr, true);
    driver.may_lose_devices(driven);
    const Outcome outcome = runtime.run(driver, nullptr);
    EXPECT_TRUE(failed);
    ASSERT_EQ(told.lost.size(), 1U);
    EXPECT_EQ(told.lost[0], std::pair(device_id(0), std::string("made to fail")));
    EXPECT_TRUE(outcome.jobs[0].completed) << outcome.jobs[0].reason;
    EXPECT_EQ(told.stopped, std::vector<std::string>{});
    EXPECT_EQ(told.went_back, std::vector<std::int64_t>{0});
  }
}

TEST(Watchdog, AJobThatStopsIsSaidToOnce) {
  const Cluster cluster = instances::devices(2);
  ScriptedWork work;
  work.unit = [](const UnitRun& run) {
    if (run.job == job_id(0) && run.minibatch == 1) throw Error("made to fail");
  };
  for (const char* strategy : {"spill", "data_parallel(2,resident)"}) {
    const Told told = run(planned(strategy, 2, cluster), cluster, work, unwatched());
    EXPECT_EQ(told.stopped, std::vector<std::string>{"made to fail"});
    EXPECT_EQ(told.outcome.jobs[0].reason, "made to fail");
    EXPECT_TRUE(told.outcome.jobs[1].completed);
  }
}

TEST(Watchdog, AJobThatGoesBackFromItsEndIsCountedOnce) {
  const Program program = instances::chains({{1}, {1}});
  std::vector<std::pair<std::size_t, bool>> ended;
  RunOptions options;
  options.progress = [&](const RunProgress& now) {
    ended.emplace_back(now.jobs_ended, now.job_ended);
  };
  Observer observer(program, options);
  UnitRun run;
  run.job = job_id(1);
  observer(run, {}, Instant{});
  observer.went_back(run.job, 0);
  observer(run, {}, Instant{});
  observer.failed(run.job, "on its way to the host", Instant{});
  observer.failed(job_id(0), "made to fail", Instant{});
  using Ended = std::pair<std::size_t, bool>;
  EXPECT_EQ(ended, (std::vector<Ended>{{1, true}, {1, true}, {1, true}, {2, true}}));
}

// Each fails after the other's last failure: neither is ever the job's last twice.
TEST(Watchdog, UnitsThatFindNoMemoryInTurnAreEachTriedOnceMore) {
  const Cluster cluster = instances::devices(2);
  const Program program = planned("data_parallel(2,resident)", 1, cluster);
  std::mutex mutex;
  std::condition_variable changed;
  DeviceId last = device_id(1);
  std::array<int, 2> tries{};
  ScriptedWork work;
  work.unit = [&](const UnitRun& run) {
    if (run.minibatch != 1 || program.jobs[0].units[run.unit].kind != UnitKind::kReduce) return;
    std::unique_lock lock(mutex);
    int& mine = tries[index(run.device)];
    if (++mine > 10) return;
    changed.wait(lock, [&] { return last != run.device || tries[1 - index(run.device)] > 2; });
    last = run.device;
    changed.notify_all();
    throw OutOfMemory("made to be");
  };
  const Told told = run(program, cluster, work, unwatched());
  EXPECT_LE(tries[0], 2);
  EXPECT_LE(tries[1], 2);
  EXPECT_FALSE(told.outcome.jobs[0].completed);
  EXPECT_EQ(told.stopped, std::vector<std::string>{"made to be"});
}

// Preparing may hang; whoever stops the run does not wait for that.
TEST(Watchdog, AStopEndsARunThatIsStillPreparing) {
  const Cluster cluster = instances::devices(2);
  std::atomic<bool> stop = false;
  Signal released;
  ScriptedWork work;
  std::atomic<int> units = 0;
  work.unit = [&](const UnitRun&) { ++units; };
  work.on_prepare = [&] {
    stop = true;
    released.wait();
  };
  const Program program = planned("spill", 2, cluster);
  const auto policy = make_policy("fifo", program, 1);
  Runtime runtime(cluster, work, {}, unwatched());
  Driver driver(program, cluster, *policy, runtime, nullptr, true);
  const Outcome outcome = runtime.run(driver, &stop);
  EXPECT_FALSE(runtime.close(Duration{}));
  released.set();
  EXPECT_TRUE(outcome.interrupted);
  for (const JobEnd& end : outcome.jobs) EXPECT_EQ(end.reason, "interrupted");
  EXPECT_EQ(units, 0);
}

/// Lets this process map so many bytes more, until it is gone.
class LittleAddressSpace {
 public:
  explicit LittleAddressSpace(std::size_t more) {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    getrlimit(RLIMIT_AS, &before_);
    rlimit less = before_;
    less.rlim_cur = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + more;
    setrlimit(RLIMIT_AS, &less);
  }
  ~LittleAddressSpace() { setrlimit(RLIMIT_AS, &before_); }
  LittleAddressSpace(const LittleAddressSpace&) = delete;
  LittleAddressSpace& operator=(const LittleAddressSpace&) = delete;

 private:
  rlimit before_{};
};

TEST(Watchdog, ARunThatGetsTooFewThreadsSaysSo) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers end a process that gets no memory";
#endif
  const Cluster cluster = instances::devices(4000);
  ScriptedWork work;
  const std::string error = error_of([&] {
    const LittleAddressSpace little(std::size_t{200} << 20);
    const Runtime runtime(cluster, work, {});
  });
  EXPECT_EQ(error.find("the system gives no more threads: "), 0U) << error;
  EXPECT_NE(error.find("ulimit -u"), std::string::npos) << error;
}

}  // namespace
}  // namespace shardlab
