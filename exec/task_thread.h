#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace shardlab {

/// A thread that does what it is given, one after another, in that order. The destructor waits
/// until all is done.
class TaskThread {
 public:
  /// `failed` is told, on the thread, what a task throws; it must not throw itself.
  using Failed = std::function<void(std::exception_ptr)>;
  explicit TaskThread(Failed failed);
  ~TaskThread();
  TaskThread(const TaskThread&) = delete;
  TaskThread& operator=(const TaskThread&) = delete;

  void add(std::function<void()> task);
  /// Whether all that was added is done, at once or within that time.
  [[nodiscard]] bool done_within(std::chrono::nanoseconds patience);

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_, done_;
  std::deque<std::function<void()>> tasks_;
  bool working_ = false, quit_ = false;
  Failed failed_;
  std::thread thread_;
};

}  // namespace shardlab
