#include "exec/runtime.h"

#include <algorithm>
#include <array>
#include <string>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "sched/route.h"

namespace shardlab {
namespace {

/// Something of the device may go straight to another.
bool sends(const Cluster& cluster, std::size_t device) {
  for (std::size_t other = 0; other < cluster.devices.size(); ++other) {
    if (direct(cluster, device_id(device), device_id(other))) return true;
  }
  return false;
}

}  // namespace

Runtime::Runtime(const Cluster& cluster, Work& work, Observer observer, Watch watch)
    : start_(std::chrono::steady_clock::now()),
      cluster_(cluster),
      work_(work),
      observer_(std::move(observer)),
      watch_(std::move(watch)),
      lanes_(cluster.devices.size()),
      links_(make_links(cluster)),
      engines_(links_.size()),
      lost_(cluster.devices.size()) {
  try {
    start_threads();
  } catch (const std::system_error& failure) {
    (void)close(Duration{});
    join_threads();
    throw Error(std::string("the system gives no more threads: ") + failure.what() +
                "; allow more of them (ulimit -u, the container's limit of processes) or use fewer "
                "devices");
  }
}

void Runtime::start_threads() {
  const std::lock_guard lock(mutex_);
  for (std::optional<TaskThread>* each : {&saver_, &keeper_, &stepper_}) {
    each->emplace(fails());
  }
  for (std::size_t d = 0; d < lanes_.size(); ++d) {
    lanes_[d].thread = std::thread([this, d] { serve_lane(d); });
    for (std::size_t link = 0; link < links_.size() / lanes_.size(); ++link) {
      const bool sending = link == 2;
      const bool has = sending ? sends(cluster_, d)
                               : link < static_cast<std::size_t>(cluster_.devices[d].copy_engines);
      if (has) start_engine(d + link * lanes_.size());
    }
  }
  link_thread_ = std::thread([this] { serve_links(); });
}

void Runtime::start_engine(std::size_t link) {
  engines_[link].thread = std::thread([this, link] { serve_engine(link); });
}

bool Runtime::close(Duration grace) {
  std::unique_lock lock(mutex_);
  quit_ = true;
  for (ComputeLane& lane : lanes_) lane.has_order.notify_all();
  for (CopyEngine& engine : engines_) engine.has_work.notify_all();
  passing_changed_.notify_all();
  lock.unlock();
  stepper_.reset();
  keeper_.reset();  // What it does may still be for the other.
  saver_.reset();
  lock.lock();
  const auto until = std::chrono::steady_clock::now() + grace;
  while (!ended()) {
    if (thread_ended_.wait_until(lock, until) == std::cv_status::timeout) return ended();
  }
  return true;
}

/// The threads of lost devices; all others must end by themselves.
bool Runtime::ended() const {
  for (std::size_t d = 0; d < lanes_.size(); ++d) {
    if (!lost_[d].empty() && !every_thread(d, [](const auto& server) { return server.ended; })) {
      return false;
    }
  }
  return true;
}

Runtime::~Runtime() {
  (void)close(Duration{});
  join_threads();
}

/// Those that began.
void Runtime::join_threads() {
  const auto join = [](std::thread& thread) {
    if (thread.joinable()) thread.join();
  };
  for (ComputeLane& lane : lanes_) join(lane.thread);
  for (CopyEngine& engine : engines_) join(engine.thread);
  join(link_thread_);
}

/// Returns false where `stop` ended it before.
bool Runtime::prepare_all(std::unique_lock<std::mutex>& lock, const std::atomic<bool>* stop) {
  while (!all_prepared() && failure_ == nullptr) {
    if (stop != nullptr && stop->load()) return false;
    over_changed_.wait_for(lock, kPoll);
    check_watch();
  }
  return true;
}

/// Nobody waits for the threads that are still at it: they may hang.
void Runtime::give_up_preparing() {
  for (std::size_t d = 0; d < lanes_.size(); ++d) {
    if (every_thread(d, [](const auto& server) { return server.prepared; })) continue;
    if (lost_[d].empty()) lost_[d] = "interrupted while it was prepared";
  }
}

Outcome Runtime::run(Driver& driver, const std::atomic<bool>* stop, bool at_borders) {
  std::unique_lock lock(mutex_);
  bool stopped = !prepare_all(lock, stop);
  if (stopped) give_up_preparing();
  driver_ = &driver;
  try {
    if (failure_ == nullptr && !stopped) work_.begin();
    start_ = std::chrono::steady_clock::now();
    looked_ = watch_time();
    if (stopped) reported_.assign(1, Interrupted{});
    if (failure_ == nullptr && !stopped) driver.start();
  } catch (...) {
    fail(std::current_exception());
  }
  turn();
  while (!over()) {
    over_changed_.wait_for(lock, kPoll);
    if (!over()) check_watch();
    if (stopped || over() || stop == nullptr || !stop->load()) continue;
    stopped = true;
    this->stop(at_borders);
  }
  quit_ = true;  // Threads may still be on their way out; nothing they do counts any more.
  if (failure_) std::rethrow_exception(failure_);
  return driver.outcome();
}

void Runtime::stop(bool at_borders) {
  stopping_ = at_borders;
  reported_.emplace_back(at_borders ? Event(StopAsked{}) : Event(Interrupted{}));
  if (at_borders && observer_.stopping) observer_.stopping();
  turn();
}

Instant Runtime::now() const {
  return Instant{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - start_)};
}

void Runtime::start_unit(const UnitRun& run) { give(index(run.device), run); }
void Runtime::start_lane_copy(const Transfer& transfer) { give(index(transfer.device), transfer); }

void Runtime::give(std::size_t device, const ComputeLane::Order& order) {
  lanes_[device].order = order;
  lanes_[device].has_order.notify_one();
}

/// What lies on a lost device may still be in use there.
void Runtime::dropped(JobId job, ItemIndex item, DeviceId from) {
  if (from == kNoDevice || lost_[index(from)].empty()) work_.drop(job, item, from);
}

std::span<const Event> Runtime::wait() {
  delivered_.clear();
  std::swap(delivered_, reported_);
  return delivered_;
}

/// Lets the Driver decide on all that was reported, once there is one. Requires the lock.
void Runtime::turn() {
  if (driver_ == nullptr) return;
  try {
    while (failure_ == nullptr && !driver_->finished()) {
      const auto events = wait();
      if (events.empty()) break;
      driver_->advance(events);
    }
    if (!over() && std::ranges::none_of(lost_, &std::string::empty)) throw Error(no_device_left());
    if (!over() && at_rest()) {
      if (!std::exchange(stopping_, false)) throw Error(driver_->stuck());
      // The policy leaves some minibatch as it is, although it knows that no others come first.
      driver_->advance(std::array{Event(Interrupted{})});
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
  return passing_.empty() && (wake_ == kNever || stopping_) && reported_.empty() && keeping_ == 0 &&
         stepping_ == 0 &&
         std::ranges::all_of(engines_,
                             [this](const CopyEngine& engine) {
                               const auto link =
                                   static_cast<std::size_t>(&engine - engines_.data());
                               return !lost_[link % lanes_.size()].empty() ||
                                      (!engine.working && engine.queue.empty());
                             }) &&
         std::ranges::all_of(lanes_, [this](const ComputeLane& lane) {
           return !lost_[static_cast<std::size_t>(&lane - lanes_.data())].empty() ||
                  (!lane.working && std::holds_alternative<std::monostate>(lane.order));
         });
}

}  // namespace shardlab
