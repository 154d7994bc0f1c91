// Devices that fail, hang or run out of memory under the runtime; without LibTorch, so that
// ThreadSanitizer can watch.
#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "exec/runtime.h"
#include "policies/registry.h"
#include "policies/replay.h"
#include "tests/error_of.h"
#include "tests/mixing_work.h"

namespace shardlab {
namespace {

enum class Fault : std::uint8_t {
  kUnitThrows,
  kCopyThrows,
  kUnitHangs,
  kCopyHangs,
  kNeverPrepared
};
constexpr std::uint64_t kFaults = 5;

/// Work that goes wrong on each chosen device at its n-th unit or copy. What hangs does so until
/// release(), and says so to `hung`.
class FaultyWork final : public MixingWork {
 public:
  FaultyWork(const Program& program, std::size_t devices)
      : MixingWork(program, devices), plan_(devices) {}
  ~FaultyWork() override { release(); }

  void go_wrong(std::size_t device, Fault how, int after) { plan_[device] = {how, after, true}; }
  std::function<void(DeviceId)> hung;

  void prepare(DeviceId device, Engine engine) override {
    const Plan& plan = plan_[index(device)];
    const bool wrong = plan.armed && plan.how == Fault::kNeverPrepared;
    if (wrong && engine == Engine::kCompute) throw DeviceFailure("made to fail");
  }
  Pass run(const UnitRun& run) override {
    go_on(run.device, Fault::kUnitThrows, Fault::kUnitHangs);
    return MixingWork::run(run);
  }
  void copy(const Transfer& transfer) override {
    const bool sent = transfer.direction == Direction::kPeer;
    // The thread is the sender's: who does not receive can fail, but only the sender can hang.
    go_on(transfer.device, Fault::kCopyThrows, sent ? Fault::kCopyThrows : Fault::kCopyHangs);
    if (sent) go_on(transfer.source, Fault::kCopyThrows, Fault::kCopyHangs);
    MixingWork::copy(transfer);
  }
  void lose(DeviceId device) override {
    if (index(device) == 0) first_lost_ = true;
    MixingWork::lose(device);
  }
  [[nodiscard]] bool first_lost() const { return first_lost_; }
  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

 private:
  struct Plan {
    Fault how{};
    int left = 0;
    bool armed = false;
  };

  void go_on(DeviceId device, Fault throws, Fault hangs) {
    std::unique_lock lock(mutex_);
    Plan& plan = plan_[index(device)];
    if (!plan.armed || (plan.how != throws && plan.how != hangs) || plan.left-- > 0) return;
    plan.armed = false;
    if (plan.how == throws) throw DeviceFailure("made to fail", device);
    lock.unlock();
    hung(device);
    lock.lock();
    changed_.wait(lock, [this] { return released_; });
  }

  std::vector<Plan> plan_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool released_ = false;
  std::atomic<bool> first_lost_ = false;
};

/// Takes hung devices out from a thread of its own, as a watchdog does.
class Watchman {
 public:
  explicit Watchman(Runtime& runtime) : runtime_(runtime), thread_([this] { watch(); }) {}
  ~Watchman() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Watchman(const Watchman&) = delete;
  Watchman& operator=(const Watchman&) = delete;
  void tell(DeviceId device) {
    const std::lock_guard lock(mutex_);
    hung_.push_back(device);
    changed_.notify_all();
  }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return over_ || !hung_.empty(); });
      if (hung_.empty()) return;
      const DeviceId device = hung_.back();
      hung_.pop_back();
      lock.unlock();
      runtime_.take_out(device, "does not answer");
      lock.lock();
    }
  }

  Runtime& runtime_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<DeviceId> hung_;
  bool over_ = false;
  std::thread thread_;
};

Watch unwatched() { return {Duration{}, 0, {}, {}}; }

Outcome run(const Drawn& drawn, FaultyWork& work, std::string policy_name) {
  Program driven = drawn.program;
  const auto policy = make_policy(policy_name, driven, 1);
  Runtime runtime(drawn.cluster, work, {}, unwatched());
  const Watchman watchman(runtime);
  work.hung = [&](DeviceId device) { const_cast<Watchman&>(watchman).tell(device); };
  Driver driver(driven, drawn.cluster, *policy, runtime, nullptr, true);
  driver.may_lose_devices(driven);
  try {
    const Outcome outcome = runtime.run(driver, nullptr);
    work.release();
    return outcome;
  } catch (...) {
    work.release();
    throw;
  }
}

TEST(RuntimeFaults, ResultsAreThoseOfARunThatLosesNoDevice) {
  const auto policies = known_policies();
  int lost = 0, stopped = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(200); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Drawn drawn = draw(seed);
    if (seed % 2 == 0) drawn.program.checkpoints.minibatches = 1;
    const std::size_t devices = drawn.cluster.devices.size();
    FaultyWork work(drawn.program, devices);
    std::mt19937_64 generator(seed);
    for (std::size_t d = 1; d < devices; ++d) {
      work.go_wrong(d, static_cast<Fault>(generator() % kFaults),
                    static_cast<int>(generator() % 12));
    }
    const Outcome outcome = run(drawn, work, std::string(policies[seed % policies.size()].name));
    ASSERT_FALSE(work.first_lost()) << "its peers' failures are not its own";
    lost += outcome.devices_lost;
    for (std::size_t j = 0; j < drawn.program.jobs.size(); ++j) {
      if (!outcome.jobs[j].completed) {
        ASSERT_EQ(outcome.jobs[j].reason, kNoRoomLeft);
        ++stopped;
        continue;
      }
      ASSERT_EQ(work.result(j), alone(drawn.program, j)) << "job " << j;
    }
  }
  EXPECT_GT(lost, 50);
  EXPECT_LT(stopped, 100);
}

TEST(RuntimeFaults, TheRunEndsWithItsReasonsWhenNoDeviceIsLeft) {
  for (const Fault how : {Fault::kUnitThrows, Fault::kCopyThrows, Fault::kUnitHangs,
                          Fault::kCopyHangs, Fault::kNeverPrepared}) {
    const Drawn drawn = draw(3);
    FaultyWork work(drawn.program, drawn.cluster.devices.size());
    for (std::size_t d = 0; d < drawn.cluster.devices.size(); ++d) work.go_wrong(d, how, 2);
    const std::string error = error_of([&] { run(drawn, work, "lrtf"); });
    EXPECT_EQ(error.find("no device is left, and "), 0U) << error;
    const bool hangs = how == Fault::kUnitHangs || how == Fault::kCopyHangs;
    EXPECT_NE(error.find(hangs ? "; d0: does not answer" : "; d0: made to fail"), std::string::npos)
        << error;
  }
}

/// Work whose units find no memory the first times.
class ShortWork final : public MixingWork {
 public:
  ShortWork(const Program& program, std::size_t devices, int times)
      : MixingWork(program, devices), times_(times) {}
  Pass run(const UnitRun& run) override {
    const bool short_now = run.unit == 0 && run.minibatch == 1 && index(run.job) == 0;
    if (short_now && tries_++ < times_) throw OutOfMemory("out of memory: made to be");
    const bool again = short_now && times_ > 0;
    std::atomic<int>& copies = copies_[index(run.device)];
    if (again) disturbed += under_way_[index(run.device)] > 0 ? 1 : 0;
    const int before = copies;
    const Pass pass = MixingWork::run(run);
    for (int look = 0; again && look < 50; ++look) std::this_thread::yield();
    if (again) disturbed += copies > before ? 1 : 0;
    return pass;
  }
  void copy(const Transfer& transfer) override {
    const bool comes = transfer.direction == Direction::kPromote;
    if (comes) ++under_way_[index(transfer.device)];
    if (comes) ++copies_[index(transfer.device)];
    MixingWork::copy(transfer);
    if (comes) --under_way_[index(transfer.device)];
  }
  std::atomic<int> disturbed = 0;  ///< Something came when a unit was tried again, or then.

 private:
  int times_;
  std::atomic<int> tries_ = 0;
  std::array<std::atomic<int>, 4> copies_{}, under_way_{};
};

TEST(RuntimeFaults, AUnitThatFindsNoMemoryIsTriedOnceMoreThenItsJobStopsAlone) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    for (const int times : {1, 2}) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", " << times << " times");
      const Drawn drawn = draw(seed);
      const auto policy = make_policy("lrtf", drawn.program, 1);
      ShortWork work(drawn.program, drawn.cluster.devices.size(), times);
      Outcome outcome;
      {
        Runtime runtime(drawn.cluster, work, {}, unwatched());
        Driver driver(drawn.program, drawn.cluster, *policy, runtime, nullptr, true);
        ASSERT_NO_THROW(outcome = runtime.run(driver, nullptr));
      }
      EXPECT_EQ(work.disturbed, 0) << "it is tried again alone";
      EXPECT_EQ(outcome.jobs[0].completed, times == 1);
      EXPECT_EQ(outcome.jobs[0].reason, times == 1 ? "" : "out of memory: made to be");
      for (std::size_t j = times == 1 ? 0 : 1; j < drawn.program.jobs.size(); ++j) {
        ASSERT_EQ(work.result(j), alone(drawn.program, j)) << "job " << j;
      }
    }
  }
}

// A job that stops, a unit that is tried again, or a device that is lost: nothing of that is in the
// order, and the run goes on without it.
TEST(RuntimeFaults, AnOrderThatCannotBeFollowedAnyFurtherEndsNoRun) {
  int lost = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Drawn drawn = draw(seed);
    const std::size_t devices = drawn.cluster.devices.size();
    Timeline timeline;
    timeline.devices.resize(devices);
    {
      MixingWork work(drawn.program, devices);
      const auto policy = make_policy("lrtf", drawn.program, 1);
      Runtime runtime(drawn.cluster, work, {}, unwatched());
      Driver driver(drawn.program, drawn.cluster, *policy, runtime, &timeline, true);
      runtime.run(driver, nullptr);
    }
    const std::vector<OrderedUnit> order = order_of(timeline);
    const auto follow = [&](MixingWork& work) {
      Program driven = drawn.program;
      Replay policy(order, driven, devices, Replay::Times::kIgnored);
      Runtime runtime(drawn.cluster, work, {}, unwatched());
      Driver driver(driven, drawn.cluster, policy, runtime, nullptr, true);
      driver.may_lose_devices(driven);
      return runtime.run(driver, nullptr);
    };
    const auto expect_whole = [&](const MixingWork& work, const Outcome& outcome, std::size_t j) {
      if (!outcome.jobs[j].completed && outcome.jobs[j].reason == kNoRoomLeft) return;
      ASSERT_TRUE(outcome.jobs[j].completed) << outcome.jobs[j].reason;
      ASSERT_EQ(work.result(j), alone(drawn.program, j)) << "job " << j;
    };
    ShortWork again(drawn.program, devices, 1);
    const Outcome tried = follow(again);
    MixingWork failing(drawn.program, devices);
    failing.failing_job = job_id(0);
    const Outcome stopped = follow(failing);
    EXPECT_EQ(stopped.jobs[0].reason, "made to fail");
    FaultyWork faulty(drawn.program, devices);
    if (devices > 1) faulty.go_wrong(devices - 1, Fault::kUnitThrows, static_cast<int>(seed % 9));
    const Outcome fewer = follow(faulty);
    lost += fewer.devices_lost;
    for (std::size_t j = 0; j < drawn.program.jobs.size(); ++j) {
      expect_whole(again, tried, j);
      if (j > 0) expect_whole(failing, stopped, j);
      expect_whole(faulty, fewer, j);
    }
  }
  EXPECT_GT(lost, 10);
}

/// Work that once finds no memory when it has changed half of what it adds to.
class SpoilingWork final : public MixingWork {
 public:
  SpoilingWork(const Program& program, std::size_t devices, std::uint32_t unit)
      : MixingWork(program, devices), unit_(unit) {}
  Pass run(const UnitRun& run) override {
    const bool now = run.unit == unit_ && run.minibatch == 2 && index(run.job) == 0;
    const Pass pass = MixingWork::run(run);
    if (now && !spoilt_.exchange(true)) throw OutOfMemory("out of memory: half way", true);
    return pass;
  }

 private:
  std::uint32_t unit_;
  std::atomic<bool> spoilt_ = false;
};

TEST(RuntimeFaults, AJobGoesBackWhenAUnitSpoiltWhatItAddsTo) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Drawn drawn = draw(seed);
    drawn.program.checkpoints.minibatches = static_cast<std::int64_t>(seed % 2);
    const std::size_t units = drawn.program.jobs[0].units.size();
    SpoilingWork work(drawn.program, drawn.cluster.devices.size(),
                      static_cast<std::uint32_t>(seed % units));
    const auto policy = make_policy("lrtf", drawn.program, 1);
    Runtime runtime(drawn.cluster, work, {}, unwatched());
    Driver driver(drawn.program, drawn.cluster, *policy, runtime, nullptr, true);
    const Outcome outcome = runtime.run(driver, nullptr);
    EXPECT_GE(outcome.redone, 1);
    for (std::size_t j = 0; j < drawn.program.jobs.size(); ++j) {
      ASSERT_TRUE(outcome.jobs[j].completed) << outcome.jobs[j].reason;
      ASSERT_EQ(work.result(j), alone(drawn.program, j)) << "job " << j;
    }
  }
}

/// Work that hangs for ever on one device, until the test ends.
TEST(RuntimeFaults, TheWatchdogTakesOutADeviceThatDoesNotAnswer) {
  Drawn drawn = draw(0);
  for (std::uint64_t seed = 1; drawn.cluster.devices.size() < 2; ++seed) drawn = draw(seed);
  FaultyWork work(drawn.program, drawn.cluster.devices.size());
  work.go_wrong(0, Fault::kUnitHangs, 0);
  work.hung = [](DeviceId) {};
  Program driven = drawn.program;
  const auto policy = make_policy("fifo", driven, 1);
  std::string why;
  Runtime::Observer observer;
  observer.lost = [&](DeviceId, const std::string& reason) { why = reason; };
  // So much longer than a unit that a busy machine is no fault.
  Runtime runtime(drawn.cluster, work, observer, {std::chrono::seconds(3), 20, {}, {}});
  Driver driver(driven, drawn.cluster, *policy, runtime, nullptr, true);
  driver.may_lose_devices(driven);
  const Outcome outcome = runtime.run(driver, nullptr);
  EXPECT_FALSE(runtime.close(Duration{})) << "its thread still hangs";
  work.release();
  EXPECT_EQ(outcome.devices_lost, 1);
  EXPECT_EQ(why, "what its lane does did not end within 3 s");
}

}  // namespace
}  // namespace shardlab
