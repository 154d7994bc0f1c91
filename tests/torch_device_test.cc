#include "models/torch_device.h"

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "tests/fake_accelerator.h"
#include "tests/on_fake_accelerator.h"

namespace shardlab {
namespace {

using Queue = TorchDevice::Queue;

DeviceSpec spec(const std::string& kind, int ordinal = 0) {
  DeviceSpec device{"dev", kind, kUnlimited, 1, 2, {}};
  device.ordinal = ordinal;
  return device;
}

std::string refusal(const DeviceSpec& device) {
  return error_of([&] { const TorchDevice made(device); });
}

TEST(TorchDevice, AKindThatLibTorchDoesNotKnowIsRefusedWithAdvice) {
  EXPECT_EQ(refusal(spec("abacus")),
            "dev: LibTorch knows no kind of device \"abacus\"; use \"cpu\" or \"cuda\"");
  EXPECT_EQ(refusal(spec("cuda:1")),
            "dev: LibTorch knows no kind of device \"cuda:1\"; use \"cpu\" or \"cuda\"");
}

TEST(TorchDevice, AKindThatIsNotHereIsRefusedWithAdvice) {
  if (!fake::possible()) GTEST_SKIP() << "there is a GPU";
  EXPECT_EQ(refusal(spec("cuda")),
            "dev: LibTorch finds 0 devices of kind \"cuda\" here, wanted is the one with ordinal "
            "0; shardlab doctor shows what there is");
}

TEST(TorchDevice, OnTheCpuACopyIsExactAndNothingIsMovedIn) {
  const TorchDevice device(spec("cpu"));
  device.enter(Queue::kPromote);
  EXPECT_TRUE(device.is_cpu());
  const at::Tensor host = device.host_zeros(1000);
  EXPECT_TRUE(host.equal(at::zeros({1000})));
  const at::Tensor values = at::randn({1000});
  at::Tensor there = device.empty(1000);
  device.copy(there, values);
  EXPECT_TRUE(there.equal(values));
  EXPECT_EQ(device.move_in(values).const_data_ptr(), values.const_data_ptr());
  device.synchronize();
  device.synchronize(Queue::kDemote);
}

TEST(TorchDevice, OnTheCpuAStopwatchHasALapPerMark) {
  const TorchDevice device(spec("cpu"));
  Stopwatch watch(device);
  EXPECT_TRUE(watch.laps().empty());
  const auto begin = std::chrono::steady_clock::now();
  watch.mark();
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(1)) {
  }
  watch.mark();
  const std::vector<Duration> laps = watch.laps();
  ASSERT_EQ(laps.size(), 2U);
  EXPECT_GE(laps[0], Duration{});
  EXPECT_GE(laps[1] + laps[0], Duration{1'000'000});
}

/// Three floats held, a thousand for a moment, a new start, five more. Returns what is still held.
std::vector<at::Tensor> expect_counted_to_the_byte(const TorchDevice& device, MemoryMeter& meter) {
  at::Tensor held = device.empty(3);
  { const at::Tensor more = device.empty(1000); }
  EXPECT_EQ(meter.current(), 12);
  EXPECT_EQ(meter.peak(), 4012);
  meter.reset_peak();
  EXPECT_EQ(meter.peak(), 12);
  meter.restart();
  EXPECT_EQ(meter.current(), 0);
  EXPECT_EQ(meter.peak(), 0);
  at::Tensor since = device.empty(5);
  EXPECT_EQ(meter.current(), 20);
  EXPECT_EQ(meter.peak(), 20);
  return {std::move(held), std::move(since)};
}

TEST(MemoryMeter, OnTheCpuCountsWhatItsAccountIsChargedToTheByte) {
  const TorchDevice device(spec("cpu"));
  MemoryMeter meter(device, 100'000);
  const AccountScope scope(meter.account());
  const auto held = expect_counted_to_the_byte(device, meter);
  EXPECT_NE(error_of([&] { (void)device.empty(25'000); }), "no error");
}

class AcceleratorDevice : public OnFakeAccelerator {};

const char* const kKind = "privateuseone";

TEST_F(AcceleratorDevice, AnOrdinalBeyondTheDevicesIsRefusedWithTheirNumber) {
  EXPECT_EQ(refusal(spec(kKind, fake::kDevices - 1)), "no error");
  EXPECT_EQ(refusal(spec(kKind, fake::kDevices)),
            "dev: LibTorch finds 4 devices of kind \"privateuseone\" here, wanted is the one with "
            "ordinal 4; shardlab doctor shows what there is");
}

TEST_F(AcceleratorDevice, ACopyThereAndBackIsExactInTheQueueThatWasEntered) {
  const TorchDevice device(spec(kKind, 2));
  EXPECT_FALSE(device.is_cpu());
  const at::Tensor values = at::randn({1000});
  at::Tensor host = device.host_zeros(1000);
  EXPECT_TRUE(host.is_pinned());
  EXPECT_TRUE(host.equal(at::zeros({1000})));
  at::Tensor there = device.empty(1000);
  EXPECT_EQ(there.device(), at::Device(at::kPrivateUse1, 2));

  device.enter(Queue::kPromote);
  {
    const fake::Gate gate(2);
    device.copy(there, host);
    host.copy_(values);  // Page-locked memory is read when the copy runs.
  }
  device.synchronize();
  device.enter(Queue::kDemote);
  at::Tensor back = device.host_zeros(1000);
  {
    const fake::Gate gate(2);
    device.copy(back, there);
    EXPECT_TRUE(back.equal(at::zeros({1000})));
  }
  device.synchronize();
  EXPECT_TRUE(back.equal(values));
  EXPECT_TRUE(device.move_in(values).cpu().equal(values));
}

TEST_F(AcceleratorDevice, SynchronizeWaitsForOneQueueAndForNoOther) {
  const TorchDevice device(spec(kKind));
  at::Tensor there = device.empty(1);
  at::Tensor one = device.host_zeros(1), back = device.host_zeros(1);
  device.enter(Queue::kPromote);
  device.copy(there, one.fill_(1));
  device.synchronize();
  device.enter(Queue::kCompute);
  fake::Gate gate(0);  // What waits for this queue before it opens waits for ever.
  const at::Tensor sum = there.add(1);
  fake::set_order(fake::Order::kLate);  // What nobody waits for does not happen.
  device.enter(Queue::kDemote);
  device.copy(back, there);
  EXPECT_EQ(back.item<float>(), 0);
  device.synchronize(Queue::kPromote);
  EXPECT_EQ(back.item<float>(), 0);
  device.enter(Queue::kPromote);
  device.synchronize(Queue::kDemote);
  EXPECT_EQ(back.item<float>(), 1);
  gate.open();
  device.enter(Queue::kCompute);
  device.synchronize();
  EXPECT_EQ(sum.cpu().item<float>(), 2);
}

TEST_F(AcceleratorDevice, WhatFailedOnTheDeviceComesOutOfSynchronizeAsAnError) {
  const TorchDevice device(spec(kKind));
  device.enter(Queue::kCompute);
  const at::Tensor zeros = device.empty(1).fill_(0);
  device.synchronize();
  fake::fail_work(0, 1);
  zeros.add_(1);
  for (const auto& error : {error_of([&] { device.synchronize(); }),
                            error_of([&] { device.synchronize(Queue::kCompute); }),
                            error_of([&] { device.synchronize(Queue::kPromote); })}) {
    EXPECT_EQ(error.rfind("the accelerator failed: ", 0), 0U) << error;
    EXPECT_EQ(error.find("frame #"), std::string::npos) << "no trace of LibTorch's: " << error;
  }
}

// The host asks for all at once; only a clock of the device's can tell the laps apart.
TEST_F(AcceleratorDevice, AStopwatchTimesWhatRunsBetweenTwoMarks) {
  const TorchDevice device(spec(kKind, 1));
  device.enter(Queue::kCompute);
  const at::Tensor sum = device.empty(1).fill_(0);
  device.synchronize();
  fake::set_delays(
      {.copy = std::chrono::microseconds(0), .compute = std::chrono::microseconds(1000)});
  Stopwatch watch(device);
  for (const int operators : {1, 3, 2}) {
    for (int i = 0; i < operators; ++i) sum.add_(1);
    watch.mark();
  }
  const std::vector<Duration> laps = watch.laps();
  ASSERT_EQ(laps.size(), 3U);
  EXPECT_GE(laps[0], Duration{1'000'000});
  EXPECT_GE(laps[1], Duration{3'000'000});
  EXPECT_GE(laps[2], Duration{2'000'000});
}

TEST_F(AcceleratorDevice, AMeterCountsWhatTheDeviceHoldsSinceItWasMadeToTheByte) {
  const TorchDevice device(spec(kKind, 3));
  const TorchDevice other(spec(kKind, 2));
  device.enter(Queue::kCompute);
  const at::Tensor before = device.empty(100);
  MemoryMeter meter(device, 10);  // The limit is for the CPU.
  EXPECT_EQ(meter.current(), 0);
  EXPECT_EQ(meter.peak(), 0);
  const at::Tensor elsewhere = other.empty(50);
  const auto held = expect_counted_to_the_byte(device, meter);
}

TEST_F(AcceleratorDevice, RoundingIsWhatTheAllocatorTookBeyondWhatItWasAskedFor) {
  EXPECT_FALSE(TorchDevice(spec("cpu")).allocator_rounding());
  const TorchDevice device(spec(kKind, 3));
  device.enter(TorchDevice::Queue::kCompute);
  at::getDeviceAllocator(at::kPrivateUse1)->resetPeakStats(3);
  const at::Tensor one = device.empty(1), two = device.empty(129), three = device.empty(256);
  ASSERT_TRUE(device.allocator_rounding());
  EXPECT_DOUBLE_EQ(*device.allocator_rounding(), 2560.0 / (4 + 516 + 1024) - 1);
}

TEST_F(AcceleratorDevice, WarmingUpLeavesNoBytesBehindAndRunsAheadOfItsCaller) {
  const TorchDevice device(spec(kKind));
  device.enter(Queue::kCompute);
  MemoryMeter meter(device);
  device.warm_up();
  // Autograd's thread lets go of the last tensors a moment after it has reported the gradients.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (meter.current() != 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(meter.current(), 0);
}

}  // namespace
}  // namespace shardlab
