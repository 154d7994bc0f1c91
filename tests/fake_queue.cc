#include "tests/fake_queue.h"

#include <algorithm>
#include <thread>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

namespace shardlab::fake {

WorkQueue::WorkQueue() {
  std::thread([this] { run(); }).detach();
}

WorkQueue::Ticket WorkQueue::push(Work work) {
  const std::lock_guard lock(mutex_);
  works_.push_back(std::move(work));
  changed_.notify_all();
  return ++pushed_;
}

WorkQueue::Ticket WorkQueue::end() const {
  const std::lock_guard lock(mutex_);
  return pushed_;
}

void WorkQueue::set_late(bool late) {
  const std::lock_guard lock(mutex_);
  late_ = late;
  changed_.notify_all();
}

void WorkQueue::demand(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  demanded_ = std::max(demanded_, ticket);
  changed_.notify_all();
}

bool WorkQueue::done(Ticket ticket) const {
  const std::lock_guard lock(mutex_);
  return done_ >= ticket;
}

void WorkQueue::wait(Ticket ticket) {
  demand(ticket);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_ >= ticket; });
}

void WorkQueue::run() {
  // Kernels run below autograd, as they do on a device, and are nobody's operators.
  const at::NoGradGuard no_graph;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const at::DisableRecordFunctionGuard unrecorded;
  at::init_num_threads();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return !works_.empty() && (!late_ || done_ < demanded_); });
    Work work = std::move(works_.front());
    works_.pop_front();
    lock.unlock();
    work();
    work = nullptr;  // What it holds goes before it counts as done.
    lock.lock();
    ++done_;
    changed_.notify_all();
  }
}

}  // namespace shardlab::fake
