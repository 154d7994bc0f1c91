// The executor on an accelerator: the fake one, or the GPU where SHARDLAB_ACCELERATOR says "cuda".
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "exec/executor.h"
#include "models/torch_device.h"
#include "policies/registry.h"
#include "profiler/profile.h"
#include "sched/lower.h"
#include "tests/fake_accelerator.h"
#include "tests/instances.h"
#include "tests/plain_training.h"
#include "tests/small_jobs.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

std::string kind() {
  const char* chosen = std::getenv("SHARDLAB_ACCELERATOR");
  return chosen == nullptr ? "privateuseone" : chosen;
}

bool fake() { return kind() == "privateuseone"; }

/// Of the fake one each device is another; on one GPU all are lanes of it.
DeviceSpec device(int index, Bytes memory, int copy_engines) {
  DeviceSpec spec{"gpu" + std::to_string(index), kind(), memory, 1, copy_engines, {}};
  spec.ordinal = fake() ? index : 0;
  return spec;
}

struct Setting {
  Strategy strategy = Strategy::kSpill;
  int devices = 1;
  int slots = 2;
  int copy_engines = 2;
  int layers_per_shard = 2;
  bool recompute = true;
};

Bytes sum(const std::vector<Bytes>& all) {
  return std::accumulate(all.begin(), all.end(), Bytes{});
}

RunResult train(const Workload& work, const Setting& setting, RunOptions options = {}) {
  const auto first =
      cut(work, setting.strategy == Strategy::kResident ? 99 : setting.layers_per_shard);
  Plan plan;
  plan.slots = setting.slots;
  for (const auto& layers : first) {
    JobPlan job{setting.strategy, layers, {}, setting.recompute};
    for (std::size_t s = 0; setting.strategy == Strategy::kModelParallel && s < layers.size();
         ++s) {
      job.device.push_back(
          device_id(s * static_cast<std::size_t>(setting.devices) / layers.size()));
    }
    plan.jobs.push_back(job);
  }
  Cluster cluster;
  for (int d = 0; d < setting.devices; ++d) {
    cluster.devices.push_back(device(d, kUnlimited, setting.copy_engines));
  }
  const Program program = lower(work, cluster, rough_profile(work), plan);
  for (DeviceSpec& each : cluster.devices) each.memory = instances::tight_budget(program);
  const auto policy = make_policy("lrtf", work.jobs.size(), 1);
  options.keep_weights = true;
  RunResult result = run(work, cluster, program, first, *policy, options);
  Timeline checked = result.timeline;
  // Lanes of one GPU share its memory, and its peak is what is known.
  if (!fake()) checked.budget.assign(checked.budget.size(), sum(checked.budget));
  const bool as_planned = result.outcome.redone == 0 && result.outcome.devices_lost == 0;
  if (as_planned) expect_valid(checked, program);
  return result;
}

class Accelerator : public testing::TestWithParam<Setting> {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(1);
    if (fake() && fake::possible()) fake::install();
  }
  void SetUp() override {
    if (fake() && !fake::possible()) GTEST_SKIP() << "there is a GPU";
    try {
      const TorchDevice there(device(0, kUnlimited, 0));
    } catch (const Error& none) {
      GTEST_SKIP() << none.what();
    }
  }
  void TearDown() override {
    if (fake() && fake::possible()) fake::reset();
  }

  static void expect_plain(const Workload& work, const RunResult& result) {
    for (const JobEnd& end : result.outcome.jobs) ASSERT_TRUE(end.completed) << end.reason;
    expect_plain_if_completed(work, result);
  }
  static void expect_plain_if_completed(const Workload& work, const RunResult& result) {
    const TextData text = TextData::load(text_file());
    for (std::size_t j = 0; j < work.jobs.size(); ++j) {
      if (!result.outcome.jobs[j].completed) continue;
      const PlainResult plain = PlainTraining(work.jobs[j], text, c10::Device(kind() + ":0")).run();
      EXPECT_TRUE(plain == (PlainResult{result.jobs[j].losses, result.jobs[j].parameters}))
          << work.jobs[j].name;
    }
  }
};

TEST_P(Accelerator, TrainsToTheBitAsPlainTrainingDoes) {
  const Workload work = small_jobs();
  expect_plain(work, train(work, GetParam()));
}

TEST_P(Accelerator, ResultsDoNotDependOnLuckWithStreams) {
  if (!fake()) GTEST_SKIP() << "only the fake accelerator can be late on purpose";
  fake::set_order(fake::Order::kLate);
  const Workload work = small_jobs();
  const RunResult late = train(work, GetParam());
  fake::set_order(fake::Order::kEager);
  fake::set_delays({std::chrono::microseconds(200), std::chrono::microseconds(0)});
  const RunResult slow_copies = train(work, GetParam());
  for (std::size_t j = 0; j < work.jobs.size(); ++j) {
    EXPECT_EQ(late.jobs[j].weights_hash, slow_copies.jobs[j].weights_hash);
  }
  expect_plain(work, late);
}

INSTANTIATE_TEST_SUITE_P(Settings, Accelerator,
                         testing::Values(Setting{}, Setting{Strategy::kSpill, 1, 1, 2},
                                         Setting{Strategy::kSpill, 1, 2, 1},
                                         Setting{Strategy::kSpill, 1, 2, 0},
                                         Setting{Strategy::kSpill, 2, 2, 2},
                                         Setting{Strategy::kSpill, 2, 3, 2, 1},
                                         Setting{Strategy::kResident, 2, 1, 2},
                                         Setting{Strategy::kModelParallel, 2, 2, 2},
                                         Setting{Strategy::kModelParallel, 2, 1, 2, 2, false}),
                         [](const auto& info) { return "n" + std::to_string(info.index); });

class AcceleratorProfile : public Accelerator {};

TEST_F(AcceleratorProfile, HasTheBytesOfTheCpuAndTimesOfItsOwn) {
  Workload work = small_jobs();
  work.jobs.resize(2);
  ProfileOptions brief;
  brief.max_rounds = 2;
  brief.seconds = 0.1;
  const auto profiled = [&](const DeviceSpec& on) {
    Cluster cluster;
    cluster.devices.push_back(on);
    return profile(work, cluster, brief);
  };
  const Profile here = profiled(device(0, kUnlimited, 2));
  const Profile cpu = profiled({});
  ASSERT_EQ(here.models.size(), 2U);
  for (std::size_t m = 0; m < here.models.size(); ++m) {
    EXPECT_TRUE(here.models[m].whole);
    for (std::size_t i = 0; i < here.models[m].layers.size(); ++i) {
      const LayerCost& layer = here.models[m].layers[i];
      const LayerCost& other = cpu.models[m].layers[i];
      EXPECT_EQ(layer.name, other.name);
      EXPECT_EQ(layer.parameters, other.parameters);
      EXPECT_EQ(layer.state, other.state);
      EXPECT_EQ(layer.output, other.output);
      EXPECT_GT(layer.alone.backward.median, Duration{});
      EXPECT_GT(layer.loaded.forward.median, Duration{});
    }
  }
  EXPECT_GT(here.alone.copy_back.bytes_per_second, 0);
  EXPECT_FALSE(here.provenance.activity);  // In a process of its own; see add_records().
  ASSERT_TRUE(here.provenance.allocator_rounding);
  EXPECT_GT(*here.provenance.allocator_rounding, 0);
  EXPECT_LT(*here.provenance.allocator_rounding, 0.5);  // Small models are of small blocks.
}

TEST_F(AcceleratorProfile, MeasuresModelsOfWhichTheDeviceHoldsNoneAsAWhole) {
  if (!fake()) GTEST_SKIP() << "the memory of a GPU is not a test's to choose";
  Workload work;
  for (const char* name : {"one", "other"}) {
    work.jobs.push_back(small_job(name, Architecture::kGpt, {6, 512, 8, 8}));
    train_by(work.jobs.back(), {OptimizerKind::kAdamW, 1e-3, 0, 0.01}, 1, 1, 1);
  }
  work.jobs[1].model.layers = 7;
  ProfileOptions brief;
  brief.max_rounds = 1;
  brief.seconds = 0.1;
  const auto profiled = [&](Bytes memory) {
    Cluster cluster;
    cluster.devices.push_back(device(0, memory, 2));
    fake::set_memory(2 * memory);  // Activations, and what libraries would take.
    return profile(work, cluster, brief);
  };
  constexpr Bytes kSmall = 64 << 20, kLarge = 800 << 20;
  const Profile few = profiled(kSmall), all = profiled(kLarge);
  for (std::size_t m = 0; m < work.jobs.size(); ++m) {
    Bytes whole = 0;
    ASSERT_EQ(few.models[m].layers.size(), all.models[m].layers.size());
    for (std::size_t i = 0; i < few.models[m].layers.size(); ++i) {
      const LayerCost& layer = few.models[m].layers[i];
      const LayerCost& other = all.models[m].layers[i];
      EXPECT_EQ(layer.parameters, other.parameters);
      EXPECT_EQ(layer.saved, other.saved);
      EXPECT_EQ(layer.backward_workspace, other.backward_workspace);
      EXPECT_GT(layer.alone.step.median, Duration{});
      whole += layer.parameters + layer.state;
    }
    EXPECT_GT(whole, 2 * kSmall);
  }
}

class AcceleratorMemory : public Accelerator {};

/// So often the accelerator's own allocator was asked for memory, beneath LibTorch's.
std::int64_t taken_from_the_device() {
  const c10::DeviceType type = c10::Device(kind()).type();
  return at::getDeviceAllocator(type)->getDeviceStats(0).num_device_alloc;
}

/// What the allocator takes for a block of so many bytes.
Bytes taken_for(const TorchDevice& on, Bytes bytes) {
  const auto allocated = [] {
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const c10::DeviceType type = c10::Device(kind()).type();
    return at::getDeviceAllocator(type)->getDeviceStats(0).allocated_bytes[kAll].current;
  };
  const Bytes before = allocated();
  const at::Tensor block = on.empty(bytes / 4);
  return allocated() - before;
}

// Source: LibTorch's CUDACachingAllocator: kMinBlockSize, kSmallSize. A large block of which less
// than 1 MiB would be left is not split.
TEST_F(AcceleratorMemory, IsTakenInBlocksOf512Bytes) {
  const TorchDevice on(device(0, kUnlimited, 2));
  on.enter(TorchDevice::Queue::kCompute);
  for (const Bytes bytes : {4, 508, 512, 516, 1024, 100'000, 1'000'000}) {
    EXPECT_EQ(taken_for(on, bytes), (bytes + 511) / 512 * 512) << bytes;
  }
  for (const Bytes bytes : {(1 << 20) + 4, 3 << 20, (20 << 20) + 4, 100 << 20}) {
    const Bytes taken = taken_for(on, bytes);
    EXPECT_EQ(taken % 512, 0) << bytes;
    EXPECT_GE(taken, bytes);
    EXPECT_LE(taken - bytes, 1 << 20) << bytes;
  }
}

TEST_F(AcceleratorMemory, IsTakenFromTheDeviceOnceAndNotUnitByUnit) {
  for (const Strategy strategy : {Strategy::kSpill, Strategy::kResident}) {
    SCOPED_TRACE(to_string(strategy));
    Workload work = small_jobs();
    if (strategy == Strategy::kResident) work.jobs.resize(1);  // Others would come when it is done.
    for (Job& job : work.jobs) job.minibatches = 32;
    std::vector<std::int64_t> taken;
    RunOptions options;
    options.progress = [&](const RunProgress&) { taken.push_back(taken_from_the_device()); };
    (void)train(work, {strategy}, options);
    ASSERT_EQ(taken.size(), 32 * work.jobs.size());
    // In the latter half only sizes that meet at a moment when they never met before, as on a busy
    // machine: unit by unit it would be as many again as in the first.
    const std::int64_t early = taken[taken.size() / 2], late = taken.back() - early;
    EXPECT_LE(late, early / 8);
    RecordProperty(to_string(strategy), static_cast<int>(late));
  }
}

class AcceleratorFaults : public Accelerator {};

TEST_F(AcceleratorFaults, AUnitThatFindsNoMemoryIsTriedAgain) {
  if (!fake()) GTEST_SKIP() << "only the fake accelerator runs out of memory on purpose";
  const Workload work = small_jobs();
  std::int64_t redone = 0;  // Not where a promotion finds room the second time.
  for (const int nth : {60, 200, 333}) {
    SCOPED_TRACE(testing::Message() << "allocation " << nth);
    fake::fail_allocation(0, nth);
    const RunResult result = train(work, {});
    redone += result.outcome.redone;
    expect_plain(work, result);
  }
  EXPECT_GT(redone, 0);
}

// Its batch is a hundred times that of the others, and the profile knows nothing of what it needs.
TEST_F(AcceleratorFaults, AJobThatFindsNoMemoryTwiceStopsAloneWithTheReason) {
  if (!fake()) GTEST_SKIP() << "only the fake accelerator has as little memory as it is told";
  Workload work = small_jobs();
  const Bytes enough = 2 * train(work, {}).timeline.peak[0];
  work.jobs[0].batch *= 100;
  fake::set_memory(enough);
  for (const Setting& setting : {Setting{}, Setting{Strategy::kSpill, 2, 1, 0}}) {
    const RunResult result = train(work, setting);
    const JobEnd& big = result.outcome.jobs[0];
    EXPECT_FALSE(big.completed);
    EXPECT_EQ(big.minibatches, 0);
    EXPECT_NE(big.reason.find("out of memory: "), std::string::npos) << big.reason;
    EXPECT_EQ(result.outcome.redone, 1) << "its first unit, once";
    for (std::size_t j = 1; j < work.jobs.size(); ++j) {
      EXPECT_TRUE(result.outcome.jobs[j].completed) << result.outcome.jobs[j].reason;
    }
    expect_plain_if_completed(work, result);
  }
}

TEST_F(AcceleratorFaults, JobsGoOnElsewhereToTheSameBitsWhenADeviceFails) {
  if (!fake()) GTEST_SKIP() << "only the fake accelerator fails on purpose";
  const Workload work = small_jobs();
  const std::vector<Setting> settings{
      {Strategy::kSpill, 2}, {Strategy::kResident, 2, 1}, {Strategy::kModelParallel, 2}};
  for (const Setting& setting : settings) {
    for (const int nth : {5, 60, 150, 400}) {  // The first while the device is prepared.
      SCOPED_TRACE(testing::Message() << to_string(setting.strategy) << ", work " << nth);
      fake::fail_work(1, nth);
      const RunResult result = train(work, setting);
      EXPECT_EQ(result.outcome.devices_lost, 1);
      for (std::size_t j = 0; j < work.jobs.size(); ++j) {
        const JobEnd& end = result.outcome.jobs[j];
        if (end.completed) continue;
        EXPECT_EQ(end.reason, kNoRoomLeft);
      }
      expect_plain_if_completed(work, result);
      fake::reset();
    }
  }
}

TEST_F(AcceleratorFaults, ADeviceThatFailsEndsTheRunWithItsReason) {
  if (!fake()) GTEST_SKIP() << "only the fake accelerator fails on purpose";
  fake::fail_work(0, 300);
  EXPECT_THROW((void)train(small_jobs(), {}), Error);
}

TEST_F(AcceleratorFaults, ADeviceThatIsNotThereIsRefusedWithItsName) {
  try {
    const TorchDevice beyond([] {
      DeviceSpec spec = device(3, kUnlimited, 0);
      spec.ordinal = 77;
      return spec;
    }());
    FAIL() << "no device has the ordinal 77";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("gpu3: LibTorch finds "), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace shardlab
