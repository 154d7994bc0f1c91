#include <algorithm>
#include <cstdint>
#include <exception>
#include <string>

#include <fmt/format.h>

#include "core/error.h"
#include "exec/runtime.h"

/// Units that fail, and devices that fail or do not answer.
namespace shardlab {
namespace {

/// No copy of a device that works is slower.
constexpr double kSlowestCopy = 50e6;  // Bytes per second.

/// Whose failure it is, and what it says.
struct Failure {
  enum class Of : std::uint8_t { kJob, kDevice, kMemory } of = Of::kJob;
  std::string text = "unknown failure";
  bool spoilt = false;  ///< Of kMemory; see OutOfMemory.
};

Failure describe(const std::exception_ptr& failure) {
  const auto of = [](Failure::Of whose, const std::string& text, bool spoilt = false) {
    return Failure{whose, text.empty() ? Failure{}.text : text, spoilt};
  };
  try {
    std::rethrow_exception(failure);
  } catch (const DeviceFailure& error) {
    return of(Failure::Of::kDevice, error.what());
  } catch (const OutOfMemory& error) {
    return of(Failure::Of::kMemory, error.what(), error.spoilt);
  } catch (const std::exception& error) {
    return of(Failure::Of::kJob, error.what());
  } catch (...) {
    return {};
  }
}

}  // namespace

/// A unit that came to nothing: its device is lost, or it is tried again, or its job stops.
void Runtime::report_failure(const UnitRun& run, Instant from, const std::exception_ptr& failure) {
  const Failure what = describe(failure);
  if (what.of == Failure::Of::kDevice) return lose(index(run.device), what.text);
  if (what.of == Failure::Of::kMemory && may_retry(run)) {
    reported_.emplace_back(UnitRetried{run.device, run.job, run.attempt, what.spoilt});
    return;
  }
  failures_.push_back(what.text);
  if (observer_.unit) observer_.unit(run, {}, what.text);
  reported_.emplace_back(
      UnitFailed{run.device, run.job, run.attempt, from, now(), failures_.back()});
}

/// Its job's alone, whoever threw.
void Runtime::report_failed_step(const Transfer& transfer, const std::exception_ptr& failure) {
  step_failed_.insert(transfer.job);
  failures_.push_back("a step on the host: " + describe(failure).text);
  UnitRun run;
  run.job = transfer.job;
  if (observer_.unit) observer_.unit(run, {}, failures_.back());
  reported_.emplace_back(StepFailed{transfer.id, failures_.back()});
}

/// Once: what does not help the first time does not help the second.
bool Runtime::may_retry(const UnitRun& run) {
  const auto [before, fresh] = retried_.try_emplace(run.job, run);
  const bool again =
      !fresh && before->second.unit == run.unit && before->second.minibatch == run.minibatch;
  before->second = run;
  return !again;
}

LaneTask Runtime::task(Duration estimate) const {
  if (watch_.least == Duration{}) return {};
  const double times = watch_.times * static_cast<double>(estimate.count());
  const Duration limit{static_cast<Duration::rep>(std::min(times, 1e18))};
  return {now(), std::max(watch_.least, limit)};
}

Duration Runtime::estimate(const Transfer& transfer) const {
  return transfer_time(transfer.bytes, kSlowestCopy) + link_time(cluster_, transfer);
}

/// Whether everything that runs is within its time.
void Runtime::check_watch() {
  const Instant instant = now();
  const auto check = [&](std::size_t device, bool working, const LaneTask& task, const char* what) {
    if (!working || !lost_[device].empty() || instant - task.since <= task.limit) return;
    lose(device, fmt::format("{} did not end within {:.1f} s", what,
                             std::chrono::duration<double>(task.limit).count()));
  };
  const std::size_t losses = reported_.size();
  for (std::size_t d = 0; d < lanes_.size(); ++d) {
    check(d, lanes_[d].working, lanes_[d].task, "what its lane does");
  }
  for (std::size_t link = 0; link < engines_.size(); ++link) {
    check(link % lanes_.size(), engines_[link].working, engines_[link].task, "a copy");
  }
  if (reported_.size() > losses) turn();
}

void Runtime::take_out(DeviceId device, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (quit_ || over()) return;
  lose(index(device), reason);
  turn();
}

/// From here on its threads report nothing.
void Runtime::lose(std::size_t device, const std::string& reason) {
  if (!lost_[device].empty()) return;
  lost_[device] = reason;
  lanes_[device].order = {};
  lanes_[device].has_order.notify_all();
  for (std::size_t link = device; link < engines_.size(); link += lanes_.size()) {
    engines_[link].queue.clear();
    engines_[link].has_work.notify_all();
  }
  std::erase_if(passing_, [&](const Passing& each) {
    return link_index(cluster_, each.transfer) % lanes_.size() == device;
  });
  work_.lose(device_id(device));
  if (observer_.lost) observer_.lost(device_id(device), reason);
  reported_.emplace_back(DeviceLost{device_id(device)});
}

std::string Runtime::no_device_left() const {
  std::string text = driver_->stuck();
  for (std::size_t d = 0; d < lost_.size(); ++d) {
    text += "; " + cluster_.devices[d].name + ": " + lost_[d];
  }
  return text;
}

}  // namespace shardlab
