#include "exec/runtime.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/error.h"

namespace shardlab {
namespace {

/// How often a run looks whether it shall stop. Only the main thread wakes for it.
constexpr std::chrono::milliseconds kStopPoll{50};

}  // namespace

Runtime::Runtime(const Cluster& cluster, Work& work, UnitObserver observer)
    : start_(std::chrono::steady_clock::now()),
      cluster_(cluster),
      work_(work),
      observer_(std::move(observer)),
      lanes_(cluster.devices.size()),
      links_(make_links(cluster)) {
  for (std::size_t d = 0; d < lanes_.size(); ++d) {
    lanes_[d].thread = std::thread([this, d] { serve_lane(d); });
  }
  link_thread_ = std::thread([this] { serve_links(); });
}

Runtime::~Runtime() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
    for (Lane& lane : lanes_) lane.has_order.notify_all();
    passing_changed_.notify_all();
  }
  for (Lane& lane : lanes_) lane.thread.join();
  link_thread_.join();
}

Outcome Runtime::run(Driver& driver, const std::atomic<bool>* stop) {
  std::unique_lock lock(mutex_);
  driver_ = &driver;
  try {
    driver.start();
  } catch (...) {
    fail(std::current_exception());
  }
  turn();
  bool stopped = false;
  while (!over()) {
    over_changed_.wait_for(lock, kStopPoll);
    if (stopped || over() || stop == nullptr || !stop->load()) continue;
    stopped = true;
    reported_.emplace_back(Interrupted{});
    turn();
  }
  // Lanes may still be on their way out of a unit; nothing they do counts any more.
  if (failure_) std::rethrow_exception(failure_);
  return driver.outcome();
}

Instant Runtime::now() const {
  return Instant{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - start_)};
}

void Runtime::start_unit(const UnitRun& run) { give(index(run.device), run); }
void Runtime::start_lane_copy(const Transfer& transfer) { give(index(transfer.device), transfer); }

void Runtime::give(std::size_t device, const Order& order) {
  lanes_[device].order = order;
  lanes_[device].has_order.notify_one();
}

void Runtime::start_link(const Transfer& transfer) {
  const std::size_t link = link_index(cluster_, transfer);
  passing_.push_back({transfer.id, links_[link].pass(now(), transfer.bytes)});
  passing_changed_.notify_one();
}

void Runtime::wake_at(Instant instant) {
  wake_ = instant;
  passing_changed_.notify_one();
}

void Runtime::dropped(JobId job, ItemIndex item, DeviceId from) { work_.drop(job, item, from); }

std::span<const Event> Runtime::wait() {
  delivered_.clear();
  std::swap(delivered_, reported_);
  return delivered_;
}

/// Lets the Driver decide on all that was reported. Requires the lock.
void Runtime::turn() {
  try {
    while (failure_ == nullptr && !driver_->finished()) {
      const auto events = wait();
      if (events.empty()) break;
      driver_->advance(events);
    }
    if (!over() && at_rest()) {
      throw Error("nothing can run any more although jobs are left; please report this:" +
                  driver_->stuck());
    }
  } catch (...) {
    fail(std::current_exception());
  }
  if (over()) over_changed_.notify_all();
}

void Runtime::fail(std::exception_ptr failure) {
  if (failure_ == nullptr) failure_ = std::move(failure);
  over_changed_.notify_all();
}

/// Nothing runs, moves or has been reported.
bool Runtime::at_rest() const {
  return passing_.empty() && wake_ == kNever && reported_.empty() &&
         std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) {
           return !lane.working && std::holds_alternative<std::monostate>(lane.order);
         });
}

void Runtime::serve_lane(std::size_t device) {
  std::unique_lock lock(mutex_);
  try {
    work_.prepare(device_id(device));
    Lane& lane = lanes_[device];
    while (true) {
      lane.has_order.wait(
          lock, [&] { return quit_ || !std::holds_alternative<std::monostate>(lane.order); });
      if (quit_) return;
      const Order order = std::exchange(lane.order, {});
      lane.working = true;
      carry_out(order, lock);
      lane.working = false;
      if (!quit_ && failure_ == nullptr) turn();
    }
  } catch (...) {
    fail(std::current_exception());
  }
}

void Runtime::carry_out(const Order& order, std::unique_lock<std::mutex>& lock) {
  if (const auto* run = std::get_if<UnitRun>(&order)) {
    run_unit(*run, lock);
  } else {
    copy(std::get<Transfer>(order), lock);
  }
}

void Runtime::run_unit(const UnitRun& run, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  Work::Pass pass;
  std::string failure;
  const Instant from = now();
  try {
    pass = work_.run(run);
  } catch (const std::exception& error) {
    failure = error.what();
    if (failure.empty()) failure = "unknown failure";
  } catch (...) {
    failure = "unknown failure";
  }
  const Instant to = now();
  lock.lock();
  if (observer_) observer_(run, pass, failure);
  if (failure.empty()) {
    reported_.emplace_back(UnitDone{run.device, run.job, run.attempt, from, to, pass.recompute});
  } else {
    failures_.push_back(failure);
    reported_.emplace_back(
        UnitFailed{run.device, run.job, run.attempt, from, to, failures_.back()});
  }
}

void Runtime::copy(const Transfer& transfer, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  const Instant from = now();
  try {
    work_.copy(transfer);
  } catch (...) {
    lock.lock();
    throw;
  }
  const Instant to = now();
  lock.lock();
  reported_.emplace_back(LaneCopyDone{transfer.id, from, to});
}

void Runtime::serve_links() {
  std::unique_lock lock(mutex_);
  while (!quit_) {
    const auto first = std::min_element(
        passing_.begin(), passing_.end(),
        [](const Passing& a, const Passing& b) { return a.passage.to < b.passage.to; });
    const Instant passed = first == passing_.end() ? kNever : first->passage.to;
    const Instant next = std::min(passed, wake_);
    if (next == kNever) {
      passing_changed_.wait(lock);
      continue;
    }
    if (now() < next) {
      passing_changed_.wait_until(lock, start_ + next.time_since_epoch());
      continue;
    }
    if (next == passed) {
      reported_.emplace_back(LinkDone{first->transfer, first->passage.from, passed});
      passing_.erase(first);
    } else {
      wake_ = kNever;
      reported_.emplace_back(Woken{});
    }
    if (failure_ == nullptr) turn();
  }
}

}  // namespace shardlab
