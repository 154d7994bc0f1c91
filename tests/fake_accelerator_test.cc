#include "tests/fake_accelerator.h"

#include <csignal>

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

#include "tests/on_fake_accelerator.h"

namespace shardlab {
namespace {

const at::Device kFirst(at::kPrivateUse1, 0);
const at::Device kSecond(at::kPrivateUse1, 1);

class FakeAccelerator : public OnFakeAccelerator {};

c10::Stream new_stream(at::Device device = kFirst) {
  return c10::impl::VirtualGuardImpl(at::kPrivateUse1).getNewStream(device);
}

at::Tensor on_device(std::initializer_list<float> values) {
  return at::tensor(at::ArrayRef<float>(values), at::kFloat).to(kFirst);
}

at::Tensor pinned(std::initializer_list<float> values) {
  const auto size = static_cast<std::int64_t>(values.size());
  return at::empty({size}, at::TensorOptions().pinned_memory(true))
      .copy_(at::tensor(at::ArrayRef<float>(values), at::kFloat));
}

float first_of(const at::Tensor& tensor) { return tensor.cpu()[0].item<float>(); }

c10::CachingAllocator::Stat requested(at::Device device = kFirst) {
  return at::getDeviceAllocator(at::kPrivateUse1)
      ->getDeviceStats(device.index())
      .requested_bytes[0];
}

TEST_F(FakeAccelerator, IsTheAcceleratorOfTheProcess) {
  EXPECT_EQ(at::accelerator::getAccelerator(), at::kPrivateUse1);
  EXPECT_EQ(at::accelerator::deviceCount(), fake::kDevices);
  EXPECT_EQ(at::empty({3}, at::TensorOptions(kSecond)).device(), kSecond);
  EXPECT_THROW(at::empty({3}, at::TensorOptions(at::Device(at::kPrivateUse1, fake::kDevices))),
               c10::Error);
}

TEST_F(FakeAccelerator, StreamsWaitForThemselvesAndForNoOther) {
  const at::Tensor a = on_device({1});
  const at::Tensor b = on_device({1});
  const c10::Stream other = new_stream();
  fake::Gate gate(0);
  a.add_(1).mul_(3);
  {
    const c10::StreamGuard guard(other);
    EXPECT_EQ(first_of(b.add_(1)), 2);  // Waits for `other` only.
  }
  EXPECT_FALSE(c10::Stream(c10::Stream::DEFAULT, kFirst).query());
  EXPECT_TRUE(other.query());
  gate.open();
  EXPECT_EQ(first_of(a), 6);
}

TEST_F(FakeAccelerator, AStreamWaitsForAnEvent) {
  const at::Tensor a = on_device({1});
  const c10::Stream other = new_stream();
  fake::Gate gate(0);
  a.add_(1);
  c10::Event event(at::kPrivateUse1);
  event.record(c10::Stream(c10::Stream::DEFAULT, kFirst));
  other.wait(event);
  const c10::StreamGuard guard(other);
  a.mul_(3);
  EXPECT_FALSE(event.query());
  EXPECT_FALSE(other.query());
  gate.open();
  event.synchronize();
  EXPECT_TRUE(event.query());
  EXPECT_EQ(first_of(a), 6);
}

TEST_F(FakeAccelerator, AnEventIsWhereItWasRecordedLast) {
  const c10::Stream stream(c10::Stream::DEFAULT, kFirst);
  c10::Event event(at::kPrivateUse1);
  EXPECT_TRUE(event.query());
  event.record(stream);
  event.synchronize();
  fake::Gate gate(0);
  EXPECT_TRUE(event.query());
  event.record(stream);
  EXPECT_FALSE(event.query());
}

TEST_F(FakeAccelerator, TimedEventsTellHowLongWorkTook) {
  const c10::Stream stream(c10::Stream::DEFAULT, kFirst);
  c10::Event begin(at::kPrivateUse1, c10::EventFlag::BACKEND_DEFAULT);
  c10::Event end(at::kPrivateUse1, c10::EventFlag::BACKEND_DEFAULT);
  const at::Tensor a = on_device({1});
  fake::set_delays({.compute = std::chrono::microseconds(2000)});
  begin.record(stream);
  a.add_(1);
  end.record(stream);
  end.synchronize();
  EXPECT_GE(begin.elapsedTime(end), 2.0);
  const c10::Event untimed(at::kPrivateUse1);
  EXPECT_THROW((void)begin.elapsedTime(untimed), c10::Error);
}

TEST_F(FakeAccelerator, ACopyReadsPinnedMemoryWhenItRuns) {
  const at::Tensor host = pinned({1, 2});
  EXPECT_TRUE(host.is_pinned());
  const at::Tensor device = on_device({0, 0});
  fake::Gate gate(0);
  device.copy_(host, true);
  host.fill_(7);  // Too early: the bug that this device is there to show.
  gate.open();
  EXPECT_EQ(first_of(device), 7);
}

TEST_F(FakeAccelerator, ACopyWritesPinnedMemoryWhenItRuns) {
  const at::Tensor device = on_device({5});
  const at::Tensor host = pinned({0});
  fake::Gate gate(0);
  host.copy_(device, true);
  EXPECT_EQ(host.item<float>(), 0);
  gate.open();
  c10::Stream(c10::Stream::DEFAULT, kFirst).synchronize();
  EXPECT_EQ(host.item<float>(), 5);
}

TEST_F(FakeAccelerator, ACopyReadsPageableMemoryAtOnce) {
  const at::Tensor host = at::ones({2});
  const at::Tensor device = on_device({0, 0});
  fake::Gate gate(0);
  device.copy_(host, true);
  host.fill_(7);
  gate.open();
  EXPECT_EQ(first_of(device), 1);
}

TEST_F(FakeAccelerator, ALateStreamDoesOnlyWhatSomeoneWaitsFor) {
  const at::Tensor a = on_device({1});
  const c10::Stream stream(c10::Stream::DEFAULT, kFirst);
  stream.synchronize();
  fake::set_order(fake::Order::kLate);
  const at::Tensor host = pinned({9});
  a.copy_(host, true);
  const c10::Stream other = new_stream();
  for (int i = 0; i < 100; ++i) {  // Time enough for a stream that is not late.
    const c10::StreamGuard guard(other);
    EXPECT_EQ(first_of(on_device({3})), 3);
  }
  host.fill_(4);
  EXPECT_EQ(first_of(a), 4);

  a.add_(1);
  c10::Event event(at::kPrivateUse1);
  event.record(stream);
  other.wait(event);  // So that who waits for `other` waits for the addition.
  const c10::StreamGuard guard(other);
  EXPECT_EQ(first_of(a), 5);
}

TEST_F(FakeAccelerator, CopiesBetweenDevicesKeepBothTheirOrders) {
  const at::Tensor a = on_device({1});
  const at::Tensor b = at::zeros({1}, at::TensorOptions(kSecond));
  const std::int64_t before = fake::copies(0);
  fake::Gate target(1);
  a.add_(1);
  b.copy_(a);
  a.add_(1);
  target.open();
  EXPECT_EQ(first_of(b.add(10)), 12);
  EXPECT_EQ(first_of(a), 3);
  EXPECT_EQ(fake::copies(0), before + 2);  // One across, one to the host.
}

TEST_F(FakeAccelerator, TensorsOfTwoDevicesDoNotMix) {
  const at::Tensor a = on_device({1});
  EXPECT_THROW(a.add(at::ones({1}, at::TensorOptions(kSecond))), c10::Error);
  EXPECT_THROW(at::mm(a.view({1, 1}), at::ones({1, 1})), c10::Error);
  EXPECT_EQ(first_of(a.add(at::scalar_tensor(2))), 3);
}

TEST_F(FakeAccelerator, TheHostMayNotTouchDeviceMemory) {
  const at::Tensor a = on_device({1});
  c10::Stream(c10::Stream::DEFAULT, kFirst).synchronize();
  EXPECT_EXIT(a.mutable_data_ptr<float>()[0] = 2, testing::KilledBySignal(SIGSEGV), "");
  EXPECT_EQ(first_of(a), 1);
}

TEST_F(FakeAccelerator, MemoryIsReusedInTheOrderOfTheHost) {
  const c10::Stream other = new_stream();
  at::Tensor first = on_device({1});
  const void* address = first.const_data_ptr();
  at::Tensor result = at::zeros({1}, at::TensorOptions(kFirst));
  c10::Stream(c10::Stream::DEFAULT, kFirst).synchronize();
  {
    const c10::StreamGuard guard(other);
    fake::Gate late(0);
    result.copy_(first);  // On `other`, without recordStream: the bug.
    first.reset();
    const c10::StreamGuard back(c10::Stream(c10::Stream::DEFAULT, kFirst));
    first = on_device({2});
    EXPECT_EQ(first.const_data_ptr(), address);
  }
  other.synchronize();
  EXPECT_EQ(first_of(result), 2);
}

TEST_F(FakeAccelerator, MemoryThatAnotherStreamUsesIsNotReused) {
  const c10::Stream other = new_stream();
  at::Tensor first = on_device({1});
  const void* address = first.const_data_ptr();
  first.record_stream(other);
  {
    const c10::StreamGuard guard(other);
    fake::Gate gate(0);
    first.reset();
    const c10::StreamGuard back(c10::Stream(c10::Stream::DEFAULT, kFirst));
    EXPECT_NE(on_device({2}).const_data_ptr(), address);
  }
  other.synchronize();
  const at::Tensor one = on_device({3});
  const at::Tensor two = on_device({3});
  EXPECT_TRUE(one.const_data_ptr() == address || two.const_data_ptr() == address);
}

TEST_F(FakeAccelerator, FreedAndFreshMemoryHoldsNoNumbers) {
  EXPECT_TRUE(at::empty({5000}, at::TensorOptions(kFirst)).cpu().isnan().all().item<bool>());
  at::Tensor a = on_device({1});
  const at::Tensor dangling =
      at::from_blob(a.mutable_data_ptr<float>(), {1}, at::TensorOptions(kFirst));
  EXPECT_EQ(first_of(dangling), 1);
  a.reset();
  EXPECT_TRUE(dangling.cpu().isnan().item<bool>());
}

TEST_F(FakeAccelerator, CountsExactlyWhatWasAskedFor) {
  auto* allocator = at::getDeviceAllocator(at::kPrivateUse1);
  const std::int64_t before = requested(kSecond).current;
  allocator->resetPeakStats(1);
  {
    const at::Tensor a = at::empty({3}, at::TensorOptions(kSecond));
    const at::Tensor view = a.view({3, 1});
    { const at::Tensor b = at::empty({1000}, at::TensorOptions(kSecond)); }
    EXPECT_EQ(requested(kSecond).current, before + 12);
    EXPECT_EQ(allocator->getDeviceStats(1).allocated_bytes[0].current, before + 512);
  }
  EXPECT_EQ(requested(kSecond).current, before);
  EXPECT_EQ(requested(kSecond).peak, before + 4012);
  allocator->emptyCache();
  EXPECT_EQ(allocator->getDeviceStats(1).reserved_bytes[0].current, 0);
}

TEST_F(FakeAccelerator, MemoryRunsOutWhereAsked) {
  fake::fail_allocation(0, 2);
  const at::TensorOptions options(kFirst);
  const at::Tensor fits = at::empty({1}, options);
  EXPECT_THROW(at::empty({1}, options), c10::OutOfMemoryError);
  EXPECT_EQ(at::empty({1}, options).numel(), 1);
  fake::set_memory(4096);
  EXPECT_THROW(at::empty({2000}, options), c10::OutOfMemoryError);
}

TEST_F(FakeAccelerator, AFailureShowsAtTheNextWaitAndStays) {
  const at::Tensor a = on_device({1});
  const c10::Stream stream(c10::Stream::DEFAULT, kFirst);
  fake::fail_work(0, 2);
  a.add_(1);
  a.add_(1);
  a.add_(1);
  EXPECT_THROW(stream.synchronize(), c10::Error);
  EXPECT_THROW((void)stream.query(), c10::Error);
  EXPECT_THROW(a.cpu(), c10::Error);
  const c10::Stream elsewhere(c10::Stream::DEFAULT, kSecond);
  elsewhere.synchronize();
  fake::reset();
  EXPECT_EQ(first_of(a), 2);
}

TEST_F(FakeAccelerator, WorkOfAnOperatorFailsAsItWouldOnADevice) {
  const at::Tensor table = at::ones({4, 2}).to(kFirst);
  const at::Tensor index = at::full({1}, 9, at::kLong).to(kFirst);
  const at::Tensor row = at::embedding(table, index);
  EXPECT_THROW(row.cpu(), std::exception);
}

}  // namespace
}  // namespace shardlab
