// Pipelines and replicas on accelerators: four fake ones, or lanes of the GPU where
// SHARDLAB_ACCELERATOR says "cuda".
#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/error.h"
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

class RandomFaults : public DistributedAccelerator {};

TEST_F(RandomFaults, ChangeNoBitOfWhatCompletes) {
  if (!fake()) GTEST_SKIP() << "only the fake accelerator fails on purpose";
  const Workload work = jobs_of_eight();
  const std::uint64_t seeds = std::min<std::uint64_t>(instances::seeds(30), 300);
  int lost = 0, redone = 0, stopped = 0, without_devices = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Draw draw(seed);
    DistributedSetting setting = draw_setting(draw, draw_strategies(draw, work.jobs.size()));
    setting.kind = kind();
    setting.devices = fake::kDevices;
    setting.copy_engines = static_cast<int>(draw.below(3));
    setting.room = 4;
    for (int device = 0; device < fake::kDevices; ++device) {
      const int nth = 1 + static_cast<int>(draw.below(1500));
      if (draw.below(3) == 0) fake::fail_allocation(device, nth);
      if (device > 0 && draw.below(3) == 0) fake::fail_work(device, nth);
    }
    std::optional<Trained> run;
    const std::string error = error_of([&] { run = train(work, setting); });
    fake::reset();
    if (!run) {  // A fault may take out who sends to the device that has it.
      ASSERT_EQ(error.find("no device is left"), 0U) << error;
      ++without_devices;
      continue;
    }
    const Trained& trained = *run;
    lost += trained.result.outcome.devices_lost;
    redone += trained.result.outcome.redone;
    stopped += expect_plain_if_completed(work, trained, kind());
    if (HasFailure()) return;
  }
  EXPECT_GT(lost, 5);
  EXPECT_GT(redone, 30);
  EXPECT_LT(stopped, 20);
  EXPECT_LT(without_devices, 3);
}

INSTANTIATE_TEST_SUITE_P(Strategies, DistributedAccelerator,
                         testing::Values("gpipe(2,4)", "one_f_one_b(4,2)", "data_parallel(4)",
                                         "data_parallel(2,one_f_one_b(2,2))"),
                         [](const auto& info) { return "n" + std::to_string(info.index); });

}  // namespace
}  // namespace shardlab
