#include "exec/runtime.h"

#include <algorithm>
#include <array>
#include <string>
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

/// How often a run looks whether it shall stop. Only the main thread wakes for it.
constexpr std::chrono::milliseconds kStopPoll{50};

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
  const std::lock_guard lock(mutex_);
  for (std::size_t d = 0; d < lanes_.size(); ++d) {
    lanes_[d].thread = std::thread([this, d] { serve_lane(d); });
    for (std::size_t link = 0; link < links_.size() / lanes_.size(); ++link) {
      const bool sending = link == 2;
      const bool has = sending ? sends(cluster, d)
                               : link < static_cast<std::size_t>(cluster.devices[d].copy_engines);
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
  for (Lane& lane : lanes_) lane.has_order.notify_all();
  for (CopyEngine& engine : engines_) engine.has_work.notify_all();
  passing_changed_.notify_all();
  lock.unlock();
  keeper_.reset();  // What it does may still be for the other.
  saver_.reset();
  lock.lock();
  const auto until = std::chrono::steady_clock::now() + grace;
  while (!ended()) {
    if (thread_ended_.wait_until(lock, until) == std::cv_status::timeout) return ended();
  }
  return true;
}

/// Of all devices' threads, but for those that must end by themselves.
bool Runtime::ended() const {
  for (std::size_t d = 0; d < lanes_.size(); ++d) {
    if (lost_[d].empty()) continue;
    if (!lanes_[d].ended) return false;
    for (std::size_t link = d; link < engines_.size(); link += lanes_.size()) {
      if (engines_[link].thread.joinable() && !engines_[link].ended) return false;
    }
  }
  return true;
}

Runtime::~Runtime() {
  (void)close(Duration{});
  for (Lane& lane : lanes_) lane.thread.join();
  for (CopyEngine& engine : engines_) {
    if (engine.thread.joinable()) engine.thread.join();
  }
  link_thread_.join();
}

Outcome Runtime::run(Driver& driver, const std::atomic<bool>* stop) {
  std::unique_lock lock(mutex_);
  while (!all_prepared() && failure_ == nullptr) {
    over_changed_.wait_for(lock, kStopPoll);
    check_watch();
  }
  driver_ = &driver;
  try {
    if (failure_ == nullptr) work_.begin();
    start_ = std::chrono::steady_clock::now();
    if (failure_ == nullptr) driver.start();
  } catch (...) {
    fail(std::current_exception());
  }
  turn();
  bool stopped = false;
  while (!over()) {
    over_changed_.wait_for(lock, kStopPoll);
    if (!over()) check_watch();
    if (stopped || over() || stop == nullptr || !stop->load()) continue;
    stopped = true;
    reported_.emplace_back(Interrupted{});
    turn();
  }
  quit_ = true;  // Threads may still be on their way out; nothing they do counts any more.
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
  if (!lost_[link % lanes_.size()].empty()) return;  // The Driver is about to hear of that.
  if (engines_[link].thread.joinable()) {
    engines_[link].queue.push_back({transfer, now()});
    engines_[link].has_work.notify_one();
    return;
  }
  passing_.push_back({transfer, links_[link].pass(now(), link_time(cluster_, transfer))});
  passing_changed_.notify_one();
}

void Runtime::wake_at(Instant instant) {
  wake_ = instant;
  passing_changed_.notify_one();
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
    if (!over() && at_rest()) throw Error(driver_->stuck());
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
  return passing_.empty() && wake_ == kNever && reported_.empty() && keeping_ == 0 &&
         std::ranges::all_of(engines_,
                             [this](const CopyEngine& engine) {
                               const auto link =
                                   static_cast<std::size_t>(&engine - engines_.data());
                               return !lost_[link % lanes_.size()].empty() ||
                                      (!engine.working && engine.queue.empty());
                             }) &&
         std::ranges::all_of(lanes_, [this](const Lane& lane) {
           return !lost_[static_cast<std::size_t>(&lane - lanes_.data())].empty() ||
                  (!lane.working && std::holds_alternative<std::monostate>(lane.order));
         });
}

void Runtime::serve_lane(std::size_t device) {
  std::unique_lock lock(mutex_);
  Lane& lane = lanes_[device];
  try {
    prepare(lane, device, Work::Engine::kCompute, lock);
    while (true) {
      lane.has_order.wait(lock, [&] {
        return quit_ || !lost_[device].empty() ||
               !std::holds_alternative<std::monostate>(lane.order);
      });
      if (quit_ || !lost_[device].empty()) break;
      const Order order = std::exchange(lane.order, {});
      lane.working = true;
      carry_out(order, lock);
      lane.working = false;
      if (!quit_ && failure_ == nullptr) turn();
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    fail(std::current_exception());
  }
  lane.ended = true;
  thread_ended_.notify_all();
}

/// Before the clock starts: an accelerator's libraries take a while to load. A device that fails
/// here is lost like any other.
template <typename Server>
void Runtime::prepare(Server& server, std::size_t device, Work::Engine engine,
                      std::unique_lock<std::mutex>& lock) {
  server.working = true;
  server.task = task({});
  lock.unlock();
  std::string failure;
  try {
    work_.prepare(device_id(device), engine);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  lock.lock();
  server.working = false;
  server.prepared = true;
  if (!failure.empty()) lose(device, failure);
  over_changed_.notify_all();
}

bool Runtime::all_prepared() const {
  for (std::size_t d = 0; d < lanes_.size(); ++d) {
    if (!lost_[d].empty()) continue;
    if (!lanes_[d].prepared) return false;
    for (std::size_t link = d; link < engines_.size(); link += lanes_.size()) {
      if (engines_[link].thread.joinable() && !engines_[link].prepared) return false;
    }
  }
  return true;
}

void Runtime::carry_out(const Order& order, std::unique_lock<std::mutex>& lock) {
  if (const auto* run = std::get_if<UnitRun>(&order)) {
    run_unit(*run, lock);
  } else {
    copy(std::get<Transfer>(order), lock);
  }
}

void Runtime::run_unit(const UnitRun& run, std::unique_lock<std::mutex>& lock) {
  lanes_[index(run.device)].task = task(watch_.estimate ? watch_.estimate(run) : Duration{});
  lock.unlock();
  Work::Pass pass;
  std::exception_ptr failure;
  const Instant from = now();
  try {
    pass = work_.run(run);
  } catch (...) {
    failure = std::current_exception();
  }
  const Instant to = now();
  lock.lock();
  if (!lost_[index(run.device)].empty()) return;  // Too late: it runs elsewhere.
  if (failure) {
    report_failure(run, from, failure);
    return;
  }
  if (observer_.unit) observer_.unit(run, pass, "");
  reported_.emplace_back(UnitDone{run.device, run.job, run.attempt, from, to, pass.recompute});
}

void Runtime::copy(const Transfer& transfer, std::unique_lock<std::mutex>& lock) {
  const std::size_t device = index(transfer.device);
  lanes_[device].task = task(estimate(transfer));
  lock.unlock();
  const Instant from = now();
  std::string failure;
  try {
    work_.copy(transfer);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  const Instant to = now();
  lock.lock();
  if (!lost_[device].empty()) return;
  if (!failure.empty()) return lose(device, failure);
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
      reported_.emplace_back(LinkDone{first->transfer.id, first->passage.from, passed});
      passing_.erase(first);
    } else {
      wake_ = kNever;
      reported_.emplace_back(Woken{});
    }
    if (failure_ == nullptr) turn();
  }
}

/// Copies one after another, in the order of their requests. Where the link is paced too, a copy
/// that was faster waits for its passage, and the next passage for a copy that was slower.
void Runtime::serve_engine(std::size_t link) {
  std::unique_lock lock(mutex_);
  CopyEngine& engine = engines_[link];
  const std::size_t device = link % lanes_.size();
  try {
    constexpr std::array kEngines{Work::Engine::kPromote, Work::Engine::kDemote,
                                  Work::Engine::kSend};
    prepare(engine, device, kEngines.at(link / lanes_.size()), lock);
    Instant free{};
    while (true) {
      engine.has_work.wait(
          lock, [&] { return quit_ || !lost_[device].empty() || !engine.queue.empty(); });
      if (quit_ || !lost_[device].empty()) break;
      const auto [transfer, asked] = engine.queue.front();
      engine.queue.pop_front();
      const Link::Passage passage =
          links_[link].pass(std::max(asked, free), link_time(cluster_, transfer));
      engine.working = true;
      engine.task = task(estimate(transfer));
      lock.unlock();
      const Instant from = std::max(now(), passage.from);
      std::string failure;
      try {
        work_.copy(transfer);
      } catch (const std::exception& error) {
        failure = error.what();
      }
      free = now();
      lock.lock();
      engine.working = false;
      if (!lost_[device].empty()) break;
      // What goes to a lost device ends at nothing.
      const bool to_nobody = !lost_[index(transfer.device)].empty();
      if (!failure.empty() && !to_nobody) {
        lose(device, failure);
      } else if (free < passage.to) {
        passing_.push_back({transfer, passage});
        passing_changed_.notify_one();
        continue;
      } else {
        reported_.emplace_back(LinkDone{transfer.id, from, free});
      }
      if (!quit_ && failure_ == nullptr) turn();
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    fail(std::current_exception());
  }
  engine.ended = true;
  thread_ended_.notify_all();
}

void refuse_shared_pacing(const Cluster& cluster) {
  for (const DeviceSpec& device : cluster.devices) {
    const bool paced =
        device.link.paced() || device.link_back().paced() || device.copy_engines == 0;
    if (device.parent == kNoSwitch || !paced) continue;
    throw Error("device " + device.name + ": parent: a run cannot pace links that share " +
                cluster.switches.at(static_cast<std::size_t>(device.parent)).name +
                "; simulate it, or give it copy_engines and no link, so that copies take what they "
                "take");
  }
}

}  // namespace shardlab
