#include <algorithm>
#include <exception>
#include <mutex>
#include <string>
#include <utility>

#include "core/error.h"
#include "exec/runtime.h"

/// Passages of paced links, and the thread that ends them.
namespace shardlab {

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
      report_passed(first->transfer, first->passage.from, passed);
      passing_.erase(first);
    } else {
      wake_ = kNever;
      reported_.emplace_back(Woken{});
    }
    if (failure_ == nullptr) turn();
  }
}

/// Over its link; a gradient is then stepped with before the Driver hears of it.
void Runtime::report_passed(const Transfer& transfer, Instant from, Instant to) {
  if (!transfer.steps) {
    reported_.emplace_back(LinkDone{transfer.id, from, to});
    return;
  }
  if (quit_) return;
  ++stepping_;
  stepper_->add([this, transfer, from, to] { step(transfer, from, to); });
}

/// Of a device that is lost meanwhile nothing is reported.
void Runtime::step(const Transfer& transfer, Instant from, Instant to) {
  const std::string& lost = lost_[index(transfer.device)];
  std::unique_lock lock(mutex_);
  const Instant step_from = now();
  std::exception_ptr failure;
  if (lost.empty() && !quit_ && !step_failed_.contains(transfer.job)) {
    lock.unlock();
    try {
      work_.step(transfer);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
  }
  --stepping_;
  if (quit_) return;
  if (lost.empty() && failure) {
    report_failed_step(transfer, failure);
  } else if (lost.empty()) {
    reported_.emplace_back(HostStepped{transfer.id, from, to, step_from});
  }
  if (!over()) turn();
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
