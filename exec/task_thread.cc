#include "exec/task_thread.h"

#include <utility>

namespace shardlab {

TaskThread::TaskThread(Failed failed) : failed_(std::move(failed)), thread_([this] { serve(); }) {}

TaskThread::~TaskThread() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void TaskThread::add(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

bool TaskThread::done_within(std::chrono::nanoseconds patience) {
  std::unique_lock lock(mutex_);
  return done_.wait_for(lock, patience, [this] { return tasks_.empty() && !working_; });
}

void TaskThread::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return quit_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    working_ = true;
    lock.unlock();
    try {
      task();
    } catch (...) {
      failed_(std::current_exception());
    }
    lock.lock();
    working_ = false;
    done_.notify_all();
  }
}

}  // namespace shardlab
