#include <algorithm>
#include <array>
#include <exception>
#include <string>
#include <utility>

#include "exec/runtime.h"

/// What the threads of lanes and copy engines do.
namespace shardlab {

/// A thread from its preparation to its end; what `work` throws ends the run.
template <typename Server, typename DoWork>
void Runtime::serve(Server& server, std::size_t device, Work::Engine engine, const DoWork& work) {
  std::unique_lock lock(mutex_);
  try {
    prepare(server, device, engine, lock);
    work(lock);
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    fail(std::current_exception());
  }
  server.ended = true;
  thread_ended_.notify_all();
}

void Runtime::serve_lane(std::size_t device) {
  ComputeLane& lane = lanes_[device];
  serve(lane, device, Work::Engine::kCompute, [&](std::unique_lock<std::mutex>& lock) {
    while (true) {
      lane.has_order.wait(lock, [&] {
        return quit_ || !lost_[device].empty() ||
               !std::holds_alternative<std::monostate>(lane.order);
      });
      if (quit_ || !lost_[device].empty()) return;
      const ComputeLane::Order order = std::exchange(lane.order, {});
      lane.working = true;
      carry_out(order, lock);
      lane.working = false;
      if (!quit_ && failure_ == nullptr) turn();
    }
  });
}

/// Before the clock starts: an accelerator's libraries take a while to load. A device that fails
/// here is lost like any other; any other failure ends the run before it begins.
template <typename Server>
void Runtime::prepare(Server& server, std::size_t device, Work::Engine engine,
                      std::unique_lock<std::mutex>& lock) {
  server.working = true;
  server.task = task({});
  lock.unlock();
  std::string failure;
  try {
    work_.prepare(device_id(device), engine);
  } catch (const DeviceFailure& error) {
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
    if (lost_[d].empty() && !every_thread(d, [](const auto& server) { return server.prepared; })) {
      return false;
    }
  }
  return true;
}

void Runtime::carry_out(const ComputeLane::Order& order, std::unique_lock<std::mutex>& lock) {
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
  if (observer_.unit) observer_.unit(run, pass);
  // An emulated lane that makes up for lateness takes less than its unit.
  reported_.emplace_back(
      UnitDone{run.device, run.job, run.attempt, from, to, std::min(pass.recompute, to - from)});
}

void Runtime::copy(const Transfer& transfer, std::unique_lock<std::mutex>& lock) {
  const std::size_t device = index(transfer.device);
  lanes_[device].task = task(estimate(transfer));
  lock.unlock();
  const Instant from = now();
  const CopyFailure failure = try_to_copy(transfer, device);
  const Instant to = now();
  lock.lock();
  if (!lost_[device].empty()) return;
  if (!failure.text.empty()) return lose(failure.device, failure.text);
  reported_.emplace_back(LaneCopyDone{transfer.id, from, to});
}

/// On a thread of `device`.
Runtime::CopyFailure Runtime::try_to_copy(const Transfer& transfer, std::size_t device) {
  try {
    work_.copy(transfer);
  } catch (const DeviceFailure& error) {
    return {error.device == kNoDevice ? device : index(error.device), error.what()};
  } catch (const std::exception& error) {
    return {device, error.what()};
  }
  return {device};
}

/// Copies one after another, in the order of their requests.
void Runtime::serve_engine(std::size_t link) {
  constexpr std::array kEngines{Work::Engine::kPromote, Work::Engine::kDemote, Work::Engine::kSend};
  CopyEngine& engine = engines_[link];
  const std::size_t device = link % lanes_.size();
  serve(engine, device, kEngines.at(link / lanes_.size()), [&](std::unique_lock<std::mutex>& lock) {
    while (true) {
      engine.has_work.wait(
          lock, [&] { return quit_ || !lost_[device].empty() || !engine.queue.empty(); });
      if (quit_ || !lost_[device].empty()) return;
      const bool reported = copy_next(link, lock);
      if (reported && !quit_ && failure_ == nullptr) turn();
    }
  });
}

/// Where the link is paced too, a copy that was faster waits for its passage, and the next passage
/// for a copy that was slower. Returns whether there is something to report.
bool Runtime::copy_next(std::size_t link, std::unique_lock<std::mutex>& lock) {
  CopyEngine& engine = engines_[link];
  const std::size_t device = link % lanes_.size();
  const auto [transfer, asked] = engine.queue.front();
  engine.queue.pop_front();
  const Link::Passage passage =
      links_[link].pass(std::max(asked, engine.free), link_time(cluster_, transfer));
  engine.working = true;
  engine.to = transfer.direction == Direction::kPeer ? transfer.device : kNoDevice;
  engine.task = task(estimate(transfer));
  lock.unlock();
  const Instant from = std::max(now(), passage.from);
  const CopyFailure failure = try_to_copy(transfer, device);
  const Instant to = now();
  lock.lock();
  engine.free = to;
  engine.working = false;
  if (!lost_[device].empty()) return false;
  // Of what goes to a device that is lost already, nobody can tell who failed.
  if (!failure.text.empty() && lost_[index(transfer.device)].empty()) {
    lose(failure.device, failure.text);
    if (failure.device == device) return true;
  }
  // What goes to a lost device ends at nothing.
  if (to < passage.to) {
    passing_.push_back({transfer, passage});
    passing_changed_.notify_one();
    return false;
  }
  report_passed(transfer, from, to);
  return true;
}

}  // namespace shardlab
