// Pipelines and replicas on accelerators: four fake ones, or lanes of the GPU where
// SHARDLAB_ACCELERATOR says "cuda".
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <string>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/torch_device.h"
#include "tests/distributed.h"
#include "tests/fake_accelerator.h"

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

INSTANTIATE_TEST_SUITE_P(Strategies, DistributedAccelerator,
                         testing::Values("gpipe(2,4)", "one_f_one_b(4,2)", "data_parallel(4)",
                                         "data_parallel(2,one_f_one_b(2,2))"),
                         [](const auto& info) { return "n" + std::to_string(info.index); });

}  // namespace
}  // namespace shardlab
