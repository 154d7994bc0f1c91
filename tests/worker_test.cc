#include "profiler/worker.h"

#include <atomic>
#include <latch>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/error_of.h"

namespace shardlab {
namespace {

TEST(Worker, DoesItsTasksInOrderOnOneThreadOfItsOwn) {
  std::vector<int> done;
  std::set<std::thread::id> threads;
  Worker worker;
  for (int i = 0; i < 20; ++i) {
    const auto task = [&, i] {
      done.push_back(i);
      threads.insert(std::this_thread::get_id());
    };
    if (i % 2 == 0) {
      worker.run(task);
    } else {
      worker.start(task);
      worker.wait();
    }
    ASSERT_EQ(done.size(), static_cast<std::size_t>(i) + 1);
    ASSERT_EQ(done.back(), i);
  }
  EXPECT_EQ(threads.size(), 1U);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

// Would wait for ever if the caller did the task, or if one worker waited for the other.
TEST(Worker, WorksBesideItsCallerAndOtherWorkers) {
  std::latch all(3);
  Worker one, other;
  one.start([&] { all.arrive_and_wait(); });
  other.start([&] { all.arrive_and_wait(); });
  all.arrive_and_wait();
  one.wait();
  other.wait();
}

TEST(Worker, WhatATaskThrowsComesOutOfWaitOnceAndItGoesOn) {
  Worker worker;
  worker.start([] { throw Error("first"); });
  EXPECT_EQ(error_of([&] { worker.wait(); }), "first");
  EXPECT_NO_THROW(worker.wait());
  EXPECT_EQ(error_of([&] { worker.run([] { throw Error("second"); }); }), "second");
  bool done = false;
  EXPECT_NO_THROW(worker.run([&] { done = true; }));
  EXPECT_TRUE(done);
}

TEST(Worker, ItsEndWaitsForTheTaskEvenOneThatHasNotBegun) {
  constexpr int kWorkers = 200;
  std::atomic<int> done = 0;
  for (int i = 0; i < kWorkers; ++i) {
    Worker worker;
    worker.start([&] { ++done; });
  }
  EXPECT_EQ(done, kWorkers);
}

TEST(Worker, ItsEndSwallowsWhatNobodyWaitedFor) {
  Worker worker;
  worker.start([] { throw Error("nobody hears this"); });
}

}  // namespace
}  // namespace shardlab
