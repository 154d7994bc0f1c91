#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/time.h"

namespace shardlab {

/// Where one device's compute lane spent the makespan. Each nanosecond counts once, under the first
/// of these that holds, so that the parts add up to the makespan exactly.
struct LaneTime {
  Duration busy{};      ///< A unit computes.
  Duration copying{};   ///< The lane itself copies (devices without a copy engine).
  Duration tail{};      ///< After the lane's last unit or copy.
  Duration dispatch{};  ///< A unit has all its inputs here and does not run yet.
  Duration
      waiting_for_copy{};  ///< A ready unit is claimed and has its memory; an input is missing.
  Duration waiting_for_memory{};  ///< A ready unit is claimed, but there is no room for it.
  Duration waiting_for_job{};     ///< Nothing is claimed that is ready.

  [[nodiscard]] Duration sum() const {
    return busy + copying + tail + dispatch + waiting_for_copy + waiting_for_memory +
           waiting_for_job;
  }

  LaneTime& operator+=(const LaneTime& other) {
    busy += other.busy;
    copying += other.copying;
    tail += other.tail;
    dispatch += other.dispatch;
    waiting_for_copy += other.waiting_for_copy;
    waiting_for_memory += other.waiting_for_memory;
    waiting_for_job += other.waiting_for_job;
    return *this;
  }
};

/// Sums up a lane's time while a run goes on, in memory independent of its length. What it waited
/// for counts once it does something again: what is left at the end is the tail.
class LaneClock {
 public:
  /// What a lane that does nothing waits for.
  enum class Wait : std::uint8_t { kJob, kMemory, kCopy };

  /// A unit or copy was started; no effect while one runs.
  void begin(Instant now) {
    if (runs_) return;
    add_wait(now);
    runs_ = true;
  }
  /// What was begun is done; `to` may be before now.
  void computed(Instant from, Instant to) {
    end(from, to, time_.busy);
    take_pending();
  }
  void copied(Instant from, Instant to) {
    end(from, to, time_.copying);
    // Where lanes copy in no time, that does not tell that they are still needed.
    if (to > from) take_pending();
  }
  /// What was begun came to nothing, and counts as if nothing had been ready.
  void fail() {
    runs_ = false;
    wait_ = Wait::kJob;
  }
  /// Nothing runs. Requires: what was begun has ended.
  void wait(Wait wait, Instant now) {
    if (wait == wait_) return;
    add_wait(now);
    wait_ = wait;
  }

  /// Requires: nothing ended later than the makespan.
  [[nodiscard]] LaneTime time(Instant makespan) const {
    LaneTime all = time_;
    all.tail = makespan.time_since_epoch() - time_.sum();
    return all;
  }

 private:
  void add_wait(Instant now) {
    pending_[static_cast<std::size_t>(wait_)] += now - since_;
    since_ = now;
  }
  void end(Instant from, Instant to, Duration& part) {
    pending_[kDispatch] += from - since_;
    part += to - from;
    since_ = to;
    runs_ = false;
    wait_ = Wait::kJob;
  }
  void take_pending() {
    time_.waiting_for_job += pending_[0];
    time_.waiting_for_memory += pending_[1];
    time_.waiting_for_copy += pending_[2];
    time_.dispatch += pending_[kDispatch];
    pending_ = {};
  }

  static constexpr std::size_t kDispatch = 3;  ///< After all that are a Wait.
  LaneTime time_;
  std::array<Duration, 4> pending_{};  ///< By Wait, since the last unit or copy.
  Instant since_{};
  Wait wait_ = Wait::kJob;
  bool runs_ = false;
};

}  // namespace shardlab
