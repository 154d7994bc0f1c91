#include <algorithm>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

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
  bool spoilt = false;          ///< Of kMemory; see OutOfMemory.
  DeviceId device = kNoDevice;  ///< Of kDevice; see DeviceFailure.
};

Failure describe(const std::exception_ptr& failure) {
  const auto of = [](Failure::Of whose, const std::string& text, bool spoilt = false) {
    return Failure{whose, text.empty() ? Failure{}.text : text, spoilt};
  };
  try {
    std::rethrow_exception(failure);
  } catch (const DeviceFailure& error) {
    Failure lost = of(Failure::Of::kDevice, error.what());
    lost.device = error.device;
    return lost;
  } catch (const OutOfMemory& error) {
    return of(Failure::Of::kMemory, error.what(), error.spoilt);
  } catch (const std::exception& error) {
    return of(Failure::Of::kJob, error.what());
  } catch (...) {
    return {};
  }
}

}  // namespace

/// A unit that came to nothing: its device is lost, or it is tried again, or its job stops. Where
/// another device is lost the job goes back: what it changes may have been changed in part.
void Runtime::report_failure(const UnitRun& run, Instant from, const std::exception_ptr& failure) {
  const Failure what = describe(failure);
  if (what.of == Failure::Of::kDevice) {
    const DeviceId failed = what.device == kNoDevice ? run.device : what.device;
    lose(index(failed), what.text);
    if (failed != run.device) {
      reported_.emplace_back(UnitRetried{run.device, run.job, run.attempt, true});
    }
    return;
  }
  if (what.of == Failure::Of::kMemory && may_retry(run)) {
    reported_.emplace_back(UnitRetried{run.device, run.job, run.attempt, what.spoilt});
    return;
  }
  failures_.push_back(what.text);
  reported_.emplace_back(
      UnitFailed{run.device, run.job, run.attempt, from, now(), failures_.back()});
}

/// Its job's alone, whoever threw.
void Runtime::report_failed_step(const Transfer& transfer, const std::exception_ptr& failure) {
  failures_.push_back("a step on the host: " + describe(failure).text);
  failed_step_ = failures_.back().c_str();
  reported_.emplace_back(StepFailed{transfer.id, failures_.back()});
}

/// Not of a job that goes back, which steps again.
void Runtime::stopped(JobId job, std::string_view reason) {
  if (reason.data() == failed_step_) step_failed_.insert(job);
  if (observer_.stopped) observer_.stopped(job, std::string(reason));
}

/// Once: what does not help the first time does not help the second, whatever failed in between.
bool Runtime::may_retry(const UnitRun& run) {
  return retried_.emplace(run.job, run.unit, run.minibatch).second;
}

LaneTask Runtime::task(Duration estimate) const {
  if (watch_.least == Duration{}) return {};
  const double times = watch_.times * static_cast<double>(estimate.count());
  const Duration limit{static_cast<Duration::rep>(std::min(times, 1e18))};
  return {watch_time(), std::max(watch_.least, limit)};
}

Duration Runtime::estimate(const Transfer& transfer) const {
  return transfer_time(transfer.bytes, kSlowestCopy) + link_time(cluster_, transfer);
}

/// Of every thread that does something: its device, what and since when, and how to call it.
template <typename Look>
void Runtime::each_task(const Look& look) {
  for (std::size_t d = 0; d < lanes_.size(); ++d) {
    if (lanes_[d].working) look(d, lanes_[d].task, "what its lane does");
  }
  for (std::size_t link = 0; link < engines_.size(); ++link) {
    if (engines_[link].working) look(link % lanes_.size(), engines_[link].task, "a copy");
  }
}

/// Whether everything that runs is within its time.
void Runtime::check_watch() {
  if (watch_.least == Duration{}) return;
  const Instant instant = watch_time();
  excuse(instant);
  const std::size_t losses = reported_.size();
  each_task([&](std::size_t device, const LaneTask& task, const char* what) {
    if (!lost_[device].empty() || instant - task.since <= task.limit) return;
    lose(device, fmt::format("{} did not end within {:g} s", what,
                             std::chrono::duration<double>(task.limit).count()));
  });
  if (reported_.size() > losses) turn();
}

/// Time that does not count: in which this thread did not run either, as when the process or its
/// machine was paused; and in which a unit waits for another device, whose own time counts.
void Runtime::excuse(Instant instant) {
  const Duration missed = instant - std::exchange(looked_, instant) - kPoll;
  if (missed > kPoll) {
    each_task([&](std::size_t, LaneTask& task, const char*) {
      task.since = std::min(task.since + missed, instant);
    });
  }
  for (std::size_t d = 0; d < lanes_.size(); ++d) {
    if (!lanes_[d].working || !lost_[d].empty()) continue;
    const DeviceId other = work_.awaited(device_id(d));
    if (other == kNoDevice || index(other) == d) continue;
    const bool watched = lost_[index(other)].empty() && lanes_[index(other)].working;
    if (watched) lanes_[d].task.since = instant;
  }
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
  // Who sends there may hang for that alone: its time begins anew.
  for (CopyEngine& engine : engines_) {
    if (engine.working && engine.to == device_id(device)) engine.task.since = watch_time();
  }
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
