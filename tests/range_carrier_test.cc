// Which range CUPTI would attribute work to, on each thread that launches it.
#include "profiler/range_carrier.h"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/fake_accelerator.h"
#include "tests/mock_cupti.h"
#include "tests/on_fake_accelerator.h"

namespace shardlab {
namespace {

/// An operator or a backward function as it began, and the range that its thread had open then.
struct Begun {
  std::thread::id thread;
  std::uint64_t range = 0;
};

/// All operators of the process while it lives. Make it after the carrier: callbacks run in order.
class OperatorLog {
 public:
  explicit OperatorLog(MockCupti& cupti) : cupti_(cupti) {
    current_ = this;
    callback_ = at::addGlobalCallback(
        at::RecordFunctionCallback([](const at::RecordFunction&) {
          current_->add();
          return std::unique_ptr<at::ObserverContext>();
        }).scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  }
  ~OperatorLog() { at::removeCallback(callback_); }
  OperatorLog(const OperatorLog&) = delete;
  OperatorLog& operator=(const OperatorLog&) = delete;

  std::vector<Begun> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(begun_, {});
  }

 private:
  void add() {
    const auto thread = std::this_thread::get_id();
    const std::uint64_t range = cupti_.open_range(thread);
    const std::lock_guard lock(mutex_);
    begun_.push_back({thread, range});
  }

  static inline OperatorLog* current_ = nullptr;
  MockCupti& cupti_;
  std::mutex mutex_;
  std::vector<Begun> begun_;
  at::CallbackHandle callback_ = 0;
};

class RangeCarrierTest : public OnFakeAccelerator {
 protected:
  void SetUp() override {
    OnFakeAccelerator::SetUp();
    if (!IsSkipped()) session.start();
  }

  /// Every thread opens a range at a time and closes it; which threads did.
  std::set<std::thread::id> expect_balanced() const {
    std::map<std::thread::id, std::uint64_t> open;
    for (const MockCupti::RangeMark& mark : cupti->marks) {
      EXPECT_NE(mark.id == 0, open[mark.thread] == 0) << "two pushes or two pops in turn";
      open[mark.thread] = mark.id;
    }
    std::set<std::thread::id> threads;
    for (const auto& [thread, range] : open) {
      EXPECT_EQ(range, 0U) << "left open";
      threads.insert(thread);
    }
    return threads;
  }

  std::shared_ptr<MockCupti> cupti = std::make_shared<MockCupti>();
  ActivitySession session{cupti, kSmall};
};

struct Layer {
  at::Tensor input = at::ones({2, 4}, at::Device(at::kPrivateUse1, 0));
  at::Tensor weight = at::ones({4, 4}, input.options()).set_requires_grad(true);
  at::Tensor bias = at::ones({4}, input.options()).set_requires_grad(true);

  [[nodiscard]] at::Tensor forward() const {
    return at::gelu(at::linear(input, weight, bias)).sum();
  }
  void backward(const at::Tensor& loss) const {
    const auto gradients = torch::autograd::grad({loss}, {weight, bias});
    ASSERT_EQ(gradients.size(), 2U);
  }
};

std::set<std::thread::id> threads(const std::vector<Begun>& all) {
  std::set<std::thread::id> found;
  for (const Begun& each : all) found.insert(each.thread);
  return found;
}

TEST_F(RangeCarrierTest, WhatABackwardLaunchesBelongsToTheRangeOnAutogradsThreadToo) {
  RangeCarrier carrier(session);
  OperatorLog log(*cupti);
  const Layer layer;
  log.take();
  carrier.enter(7);
  layer.backward(layer.forward());
  carrier.leave();
  const std::vector<Begun> begun = log.take();
  EXPECT_GT(begun.size(), 5U);
  for (const Begun& each : begun) EXPECT_EQ(each.range, 7U);
  const auto launching = threads(begun);
  ASSERT_EQ(launching.size(), 2U) << "autograd launches from a thread of its own";
  EXPECT_TRUE(launching.contains(std::this_thread::get_id()));
  EXPECT_EQ(expect_balanced(), launching);
}

TEST_F(RangeCarrierTest, NestedOperatorsPushOnce) {
  RangeCarrier carrier(session);
  const Layer layer;
  carrier.enter(7);
  layer.backward(layer.forward());
  carrier.leave();
  int pushed_here = 0;
  for (const MockCupti::RangeMark& mark : cupti->marks) {
    if (mark.thread == std::this_thread::get_id() && mark.id != 0) ++pushed_here;
  }
  EXPECT_EQ(pushed_here, 1) << "all operators of this thread lie within the range";
}

TEST_F(RangeCarrierTest, OutsideOfARangeNothingIsPushed) {
  const Layer layer;
  {
    RangeCarrier carrier(session);
    layer.backward(layer.forward());
    EXPECT_TRUE(cupti->marks.empty());
    carrier.enter(7);
    carrier.leave();
    carrier.leave();  // Nothing is open: nothing happens.
    const std::size_t marks = cupti->marks.size();
    EXPECT_EQ(marks, 2U);
    layer.backward(layer.forward());
    EXPECT_EQ(cupti->marks.size(), marks);
    carrier.enter(8);
  }
  expect_balanced();  // Its end leaves the range.
  const std::size_t marks = cupti->marks.size();
  layer.backward(layer.forward());
  EXPECT_EQ(cupti->marks.size(), marks);
}

TEST_F(RangeCarrierTest, ABackwardBelongsToTheRangeThatAskedForIt) {
  RangeCarrier carrier(session);
  OperatorLog log(*cupti);
  const Layer layer;
  carrier.enter(7);
  const at::Tensor loss = layer.forward();
  carrier.leave();
  log.take();
  carrier.enter(8);
  layer.backward(loss);
  carrier.leave();
  const std::vector<Begun> begun = log.take();
  EXPECT_FALSE(begun.empty());
  for (const Begun& each : begun) EXPECT_EQ(each.range, 8U);
  expect_balanced();
}

TEST_F(RangeCarrierTest, OtherThreadsWorkOutsideOfTheRange) {
  RangeCarrier carrier(session);
  OperatorLog log(*cupti);
  const Layer layer;
  carrier.enter(7);
  log.take();
  std::thread([&] { layer.backward(layer.forward()); }).join();
  carrier.leave();
  for (const Begun& each : log.take()) EXPECT_EQ(each.range, 0U);
  EXPECT_EQ(cupti->marks.size(), 2U);
}

TEST_F(RangeCarrierTest, RemembersWhenEachRangeWasOpen) {
  RangeCarrier carrier(session);
  for (const std::uint64_t range : {7, 8, 7}) {
    carrier.enter(range);
    carrier.leave();
  }
  const std::vector<LaunchWindow>& windows = carrier.windows();
  ASSERT_EQ(windows.size(), 3U);
  std::int64_t last = 1;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    EXPECT_EQ(windows[i].range, i == 1 ? 8U : 7U);
    EXPECT_GE(windows[i].begin_ns, last);
    EXPECT_GE(windows[i].end_ns, windows[i].begin_ns);
    last = windows[i].end_ns;
  }
}

}  // namespace
}  // namespace shardlab
