#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace shardlab {

/// One thread that does one task after another for as long as the worker lives: LibTorch keeps much
/// by thread (handles, plans of attention on a GPU), which a new one would have to make again.
class Worker {
 public:
  Worker();
  ~Worker();  ///< Waits for the task.
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Requires that no task runs.
  void start(std::function<void()> task);
  /// Until the task is done; rethrows what it threw.
  void wait();
  void run(std::function<void()> task) {
    start(std::move(task));
    wait();
  }

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> task_;  ///< Empty: nothing to do.
  std::exception_ptr failure_;
  bool quit_ = false;
  std::thread thread_;
};

}  // namespace shardlab
