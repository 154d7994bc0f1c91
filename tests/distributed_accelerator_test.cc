// Pipelines and replicas on accelerators: four fake ones, or lanes of the GPU where
// SHARDLAB_ACCELERATOR says "cuda".
#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "exec/training.h"
#include "exec/work.h"
#include "models/torch_device.h"
#include "tests/distributed.h"
#include "tests/error_of.h"
#include "tests/fake_accelerator.h"
#include "tests/instances.h"
#include "tests/random_runs.h"

namespace shardlab {
namespace {

std::string kind() {
  const char* chosen = std::getenv("SHARDLAB_ACCELERATOR");
  return chosen == nullptr ? "privateuseone" : chosen;
}

bool fake() { return kind() == "privateuseone"; }

DistributedSetting on_accelerators(const std::string& strategy, bool recompute) {
  DistributedSetting setting{{strategy}, 4, 2, recompute};
  setting.kind = kind();
  setting.copy_engines = 2;
  setting.peers = fake();
  setting.one_device = !fake();
  return setting;
}

class DistributedAccelerator : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    if (fake() && !fake::possible()) GTEST_SKIP() << "there is a GPU";
    if (fake()) fake::install();
    try {
      const TorchDevice there(DeviceSpec{"device", kind(), kUnlimited, 1, 0, {}});
    } catch (const Error& none) {
      GTEST_SKIP() << none.what();
    }
  }
  void TearDown() override {
    if (fake() && fake::possible()) fake::reset();
  }
};

TEST_P(DistributedAccelerator, TrainsToTheBitAsPlainGradientAccumulationDoes) {
  const Workload work = jobs_of_eight();
  for (const bool recompute : {true, false}) {
    SCOPED_TRACE(recompute ? "recompute" : "keep");
    expect_plain(work, train(work, on_accelerators(GetParam(), recompute)), kind());
  }
}

TEST_P(DistributedAccelerator, ResultsDoNotDependOnLuckWithStreams) {
  if (!fake()) GTEST_SKIP() << "only the fake accelerator can be late on purpose";
  const Workload work = jobs_of_eight();
  fake::set_order(fake::Order::kLate);
  expect_plain(work, train(work, on_accelerators(GetParam(), true)), kind());
  fake::set_order(fake::Order::kEager);
  fake::set_delays({std::chrono::microseconds(200), std::chrono::microseconds(0)});
  expect_plain(work, train(work, on_accelerators(GetParam(), true)), kind());
}

class HostSteps : public DistributedAccelerator {};
class CheaperSteps : public DistributedAccelerator {};

// As plain training does whose step is the CPU's.
TEST_P(HostSteps, TrainToTheBitAsPlainTrainingDoes) {
  const Workload work = jobs_of_eight();
  const auto expect_host_steps = [&](bool recompute) {
    DistributedSetting setting = on_accelerators(GetParam(), recompute);
    setting.steps = {StepPlace::kHost};
    const Trained trained = train(work, setting);
    EXPECT_EQ(trained.on_host, std::vector<bool>(work.jobs.size(), true));
    expect_plain(work, trained, kind());
  };
  expect_host_steps(true);
  if (GetParam() != std::string("spill")) expect_host_steps(false);
  if (!fake()) return;
  fake::set_order(fake::Order::kLate);
  expect_host_steps(true);
  fake::set_order(fake::Order::kEager);
  fake::set_delays({std::chrono::microseconds(200), std::chrono::microseconds(0)});
  expect_host_steps(true);
}

// State there and back takes 40 us at least, on either way.
TEST_F(CheaperSteps, AreTakenByTheProfile) {
  const Workload work = jobs_of_eight();
  DistributedSetting setting = on_accelerators("spill", true);
  setting.link = {Duration{20'000}, 2e9};
  setting.steps = {StepPlace::kCheaper};
  for (const bool cheap : {true, false}) {
    setting.host_step = cheap ? Duration{1000} : Duration{1'000'000'000};
    const Trained trained = train(work, setting);
    EXPECT_EQ(trained.on_host, std::vector<bool>(work.jobs.size(), cheap));
    expect_plain(work, trained, kind());
  }
}

INSTANTIATE_TEST_SUITE_P(Chains, HostSteps, testing::Values("spill", "resident", "model_parallel"),
                         [](const auto& info) { return std::string(info.param); });

class RandomFaults : public DistributedAccelerator {};

TEST_F(RandomFaults, ChangeNoBitOfWhatCompletes) {
  if (!fake()) GTEST_SKIP() << "only the fake accelerator fails on purpose";
  const Workload work = jobs_of_eight();
  const std::uint64_t seeds = std::min<std::uint64_t>(instances::seeds(30), 300);
  int lost = 0, redone = 0, stopped = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Draw draw(seed);
    DistributedSetting setting = draw_setting(draw, draw_strategies(draw, work.jobs.size()));
    setting.kind = kind();
    setting.devices = fake::kDevices;
    setting.copy_engines = static_cast<int>(draw.below(3));
    setting.room = 4;
    std::array<bool, fake::kDevices> faulty{};
    for (int device = 0; device < fake::kDevices; ++device) {
      const int nth = 1 + static_cast<int>(draw.below(1500));
      const bool short_once = draw.below(3) == 0, breaks = device > 0 && draw.below(3) == 0;
      if (short_once) fake::fail_allocation(device, nth);
      if (breaks) fake::fail_work(device, nth);
      faulty[static_cast<std::size_t>(device)] = short_once || breaks;
    }
    std::optional<Trained> run;
    const std::string error = error_of([&] { run = train(work, setting); });
    fake::reset();
    ASSERT_TRUE(run) << error << ", but the first device has no fault";
    const Trained& trained = *run;
    for (const DeviceId device : trained.result.lost) {
      // Nor is a peer of theirs; one allocation that fails may be that of a copy.
      EXPECT_TRUE(faulty[index(device)]) << "device " << index(device) << " has no fault";
    }
    lost += trained.result.outcome.devices_lost;
    redone += trained.result.outcome.redone;
    stopped += expect_plain_if_completed(work, trained, kind());
    if (HasFailure()) return;
  }
  EXPECT_GT(lost, 5);
  EXPECT_GT(redone, 30);
  EXPECT_LT(stopped, 20);
}

/// Parameters of the first shard of a job, on two devices.
class Sending : public DistributedAccelerator {
 protected:
  void SetUp() override {
    DistributedAccelerator::SetUp();
    if (IsSkipped()) return;
    if (!fake()) GTEST_SKIP() << "only the fake accelerator fails on purpose";
    for (int d = 0; d < 2; ++d) {
      DeviceSpec device{"device", kind(), kUnlimited, 1, 2, {}};
      device.ordinal = d;
      cluster_.devices.push_back(device);
    }
    work_ = jobs_of_eight();
    work_.jobs.resize(1);
    Plan plan;
    plan.jobs.push_back(chain(Strategy::kModelParallel, true));
    program_ = lower(work_, cluster_, profile_of_parts(work_), plan);
    training_ = std::make_unique<Training>(work_, cluster_, program_,
                                           std::vector<std::vector<int>>{plan.jobs[0].first_layer},
                                           std::vector<const Checkpoint*>{}, Training::Save{});
  }
  void move(Direction direction, DeviceId to) {
    Transfer transfer;
    transfer.direction = direction;
    transfer.device = to;
    transfer.source = direction == Direction::kPeer ? device_id(0) : kNoDevice;
    training_->prepare(device_id(0), Work::Engine::kSend);
    training_->copy(transfer);
  }
  /// Of whom the sender's thread says that it failed.
  DeviceId failed_at_sending() {
    try {
      move(Direction::kPeer, device_id(1));
    } catch (const DeviceFailure& failure) {
      return failure.device;
    }
    return kNoDevice;
  }

  Workload work_;
  Cluster cluster_;
  Program program_;
  std::unique_ptr<Training> training_;
};

TEST_F(Sending, ThatFailsIsTheFailureOfTheSenderThoughTheReceiverSeesNone) {
  move(Direction::kPromote, device_id(0));
  EXPECT_EQ(failed_at_sending(), kNoDevice);
  fake::fail_work(0, 1);
  EXPECT_EQ(failed_at_sending(), device_id(0));
}

TEST_F(Sending, ToADeviceThatHasFailedIsThatDevicesFailure) {
  move(Direction::kPromote, device_id(0));
  fake::fail_work(1, 1);
  EXPECT_THROW(move(Direction::kPromote, device_id(1)), Error);
  EXPECT_EQ(failed_at_sending(), device_id(1));
}

/// Two replicas of a job, all of whose backwards are done; neither device computes until open().
class Reducing : public DistributedAccelerator {
 protected:
  static constexpr std::array kBoth{device_id(0), device_id(1)};

  void SetUp() override {
    DistributedAccelerator::SetUp();
    if (IsSkipped()) return;
    if (!fake()) GTEST_SKIP() << "only the fake accelerator can be stopped";
    for (const DeviceId id : kBoth) {
      DeviceSpec device{"device", kind(), kUnlimited, 1, 0, {}};
      device.ordinal = static_cast<int>(index(id));
      cluster_.devices.push_back(device);
    }
    work_ = jobs_of_eight();
    work_.jobs.resize(1);
    const Profile profile = profile_of_parts(work_);
    const StrategyChoice replicas = parse_strategy_choice("data_parallel(2,resident)");
    Plan plan;
    plan.jobs.push_back(plan_on_group(work_.jobs[0], 0, cluster_, profile, replicas, true));
    program_ = lower(work_, cluster_, profile, plan);
    training_ = std::make_unique<Training>(work_, cluster_, program_,
                                           std::vector<std::vector<int>>{plan.jobs[0].first_layer},
                                           std::vector<const Checkpoint*>{}, Training::Save{});
    for (std::uint32_t u = 0; u < units().size(); ++u) run_before_reduction(u);
  }
  void TearDown() override {
    open();
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
    DistributedAccelerator::TearDown();
  }

  /// Whoever comes first adds up and waits at its gate, and the other for it.
  DeviceId start_both(bool fails = false) {
    for (const DeviceId device : kBoth) {
      threads_[index(device)] = std::thread([this, device] { reduce(device); });
    }
    prepared_.wait();
    for (const DeviceId device : kBoth) gates_[index(device)].emplace(ordinal(device));
    for (const DeviceId device : kBoth) {
      if (fails) fake::fail_work(ordinal(device), 1);
    }
    go_.count_down();
    while (true) {
      for (const DeviceId device : kBoth) {
        const DeviceId adder = training_->awaited(device);
        if (adder != kNoDevice) return adder;
      }
      std::this_thread::yield();
    }
  }
  void open() {
    for (auto& gate : gates_) gate.reset();
  }
  /// How its unit ended.
  const std::exception_ptr& end_of(DeviceId device) {
    threads_[index(device)].join();
    return failures_[index(device)];
  }
  static DeviceId other(DeviceId device) { return device_id(1 - index(device)); }

  std::unique_ptr<Training> training_;

 private:
  static int ordinal(DeviceId device) { return static_cast<int>(index(device)); }
  [[nodiscard]] const std::vector<Unit>& units() const { return program_.jobs[0].units; }
  void run_before_reduction(std::uint32_t u) {
    const Unit& unit = units()[u];
    training_->prepare(unit.bound, Work::Engine::kCompute);
    if (unit.kind == UnitKind::kReduce || unit.kind == UnitKind::kStep) return;
    for (const ItemIndex item : unit.reads) {
      if (program_.jobs[0].items[item].kind != ItemKind::kParameters) continue;
      Transfer transfer;
      transfer.item = item;
      transfer.device = unit.bound;
      transfer.direction = Direction::kPromote;
      training_->copy(transfer);
    }
    training_->run({job_id(0), u, 0, unit.bound});
  }
  void reduce(DeviceId device) {
    training_->prepare(device, Work::Engine::kCompute);
    prepared_.count_down();
    go_.wait();
    for (std::uint32_t u = 0; u < units().size(); ++u) {
      if (units()[u].kind != UnitKind::kReduce || units()[u].bound != device) continue;
      try {
        training_->run({job_id(0), u, 0, device});
      } catch (...) {
        failures_[index(device)] = std::current_exception();
      }
    }
  }

  Workload work_;
  Cluster cluster_;
  Program program_;
  std::array<std::optional<fake::Gate>, 2> gates_;
  std::array<std::thread, 2> threads_;
  std::latch prepared_{2}, go_{1};
  std::array<std::exception_ptr, 2> failures_;
};

std::string text_of(const std::exception_ptr& failure) {
  if (failure == nullptr) return "no error";
  return error_of([&] { std::rethrow_exception(failure); });
}

TEST_F(Reducing, AReplicaThatWaitsSaysForWhomAndIsToldOfItsLoss) {
  const DeviceId adder = start_both();
  training_->lose(adder);
  open();  // A unit that failed waits for its own device.
  EXPECT_EQ(text_of(end_of(other(adder))), "the device that added up gradients was lost");
  EXPECT_EQ(training_->awaited(other(adder)), kNoDevice);
}

TEST_F(Reducing, NobodyReadsADeviceThatFailedWhileItAddedUp) {
  const DeviceId adder = start_both(true);
  open();
  DeviceId failed = kNoDevice;
  try {
    const std::exception_ptr failure = end_of(adder);
    ASSERT_NE(failure, nullptr);
    std::rethrow_exception(failure);
  } catch (const DeviceFailure& failure) {
    failed = failure.device == kNoDevice ? adder : failure.device;
  }
  training_->lose(failed);
  EXPECT_EQ(text_of(end_of(other(adder))), "the device that added up gradients was lost");
}

INSTANTIATE_TEST_SUITE_P(Strategies, DistributedAccelerator,
                         testing::Values("gpipe(2,4)", "one_f_one_b(4,2)", "data_parallel(4)",
                                         "data_parallel(2,one_f_one_b(2,2))", "zero_offload(4)"),
                         [](const auto& info) { return "n" + std::to_string(info.index); });

}  // namespace
}  // namespace shardlab
