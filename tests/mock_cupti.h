#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "profiler/activity_buffers.h"
#include "profiler/cupti.h"

namespace shardlab {

inline constexpr BufferSizes kSmall{.bytes = 4096, .count = 8};

/// Behaves as CUPTI does; one call of all may fail. A record is one byte, a log one activity per
/// record with the byte as its size.
class MockCupti : public CuptiApi {
 public:
  int subscribe() override {
    return step("subscribe", [&] { subscribed = true; });
  }
  int unsubscribe() override {
    return step("unsubscribe", [&] { subscribed = false; });
  }
  int promise_zeroed_buffers() override {
    return step("promise", [] {});
  }
  int register_callbacks(BufferRequested* requested, BufferCompleted* completed) override {
    return step("register", [&] {
      request_ = requested;
      complete_ = completed;
    });
  }
  int enable(RecordKind kind) override {
    return step("enable", [&] { enabled.push_back(kind); });
  }
  int disable(RecordKind kind) override {
    return step("disable", [&] { std::erase(enabled, kind); });
  }
  int flush() override {
    return step("flush", [] {});
  }
  int count_dropped(std::size_t& records) override {
    return step("dropped", [&] { records = dropped; });
  }
  int push_range(std::uint64_t id) override {
    return step("push", [&] {
      ranges.push_back(id);
      marks.push_back({std::this_thread::get_id(), id});
    });
  }
  int pop_range() override {
    return step("pop", [&] {
      ranges.pop_back();
      marks.push_back({std::this_thread::get_id(), 0});
    });
  }
  ActivityLog parse(std::span<const RecordBuffer> buffers) override {
    ActivityLog log;
    for (const RecordBuffer buffer : buffers) {
      for (const std::uint8_t byte : buffer) {
        log.activities.emplace_back();
        log.activities.back().bytes = byte;
      }
    }
    return log;
  }
  std::string explain(int result) override { return "result " + std::to_string(result); }

  /// A push or, with 0, a pop.
  struct RangeMark {
    std::thread::id thread;
    std::uint64_t id = 0;
  };
  /// What has been pushed and not popped, of all threads, in order.
  std::vector<std::uint64_t> ranges;
  std::vector<RangeMark> marks;
  /// The range that a thread's launches belong to; 0: none. Requires that none nest there.
  [[nodiscard]] std::uint64_t open_range(std::thread::id thread) {
    const std::lock_guard lock(mutex_);
    const auto last = std::find_if(marks.rbegin(), marks.rend(),
                                   [&](const RangeMark& mark) { return mark.thread == thread; });
    return last == marks.rend() ? 0 : last->id;
  }

  [[nodiscard]] std::uint8_t* ask() const {
    std::uint8_t* buffer = nullptr;
    std::size_t size = 0, most = 1;
    request_(&buffer, &size, &most);
    EXPECT_EQ(size, kSmall.bytes);
    EXPECT_EQ(most, 0U);
    EXPECT_TRUE(std::all_of(buffer, buffer + size, [](auto byte) { return byte == 0; }));
    return buffer;
  }
  void give(std::uint8_t* buffer, std::size_t valid) const {
    complete_(nullptr, 0, buffer, kSmall.bytes, valid);
  }
  void record(std::uint8_t byte) const {
    std::uint8_t* buffer = ask();
    buffer[0] = byte;
    give(buffer, 1);
  }

  std::size_t fail_at = 0;  ///< The number of the call that fails, from 1 on.
  std::size_t dropped = 0;
  bool subscribed = false;
  std::vector<RecordKind> enabled;
  std::vector<std::string> calls;

 private:
  template <typename Effect>
  int step(const char* name, Effect&& effect) {
    const std::lock_guard lock(mutex_);
    calls.emplace_back(name);
    if (calls.size() == fail_at) return 999;
    effect();
    return 0;
  }

  std::mutex mutex_;
  BufferRequested* request_ = nullptr;
  BufferCompleted* complete_ = nullptr;
};

}  // namespace shardlab
