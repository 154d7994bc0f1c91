#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/lane_time.h"
#include "core/time.h"

namespace shardlab {

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
  void computed(Instant from, Instant to) { ran(from, to, time_.busy); }
  void reduced(Instant from, Instant to) { ran(from, to, time_.reducing); }
  void copied(Instant from, Instant to) {
    end(from, to, time_.copying);
    // Where lanes copy in no time, that does not tell that they are still needed.
    if (to > from) take_pending();
  }
  /// The unit that was begun came to nothing.
  void fail(Instant now) { ran(since_, now, time_.lost); }
  /// The device is lost, and with it what was begun, if anything; `unit`: that is no copy.
  void leave(Instant now, bool unit) {
    if (!runs_) {
      add_wait(now);
    } else if (unit) {
      fail(now);
    } else {
      copied(since_, now);
    }
    wait_ = Wait::kJob;
    away_ = true;
  }
  void join(Instant now) {
    time_.absent += now - since_;
    since_ = now;
    away_ = false;
  }
  /// Nothing runs. Requires: what was begun has ended.
  void wait(Wait wait, Instant now) {
    if (wait == wait_ || away_) return;
    add_wait(now);
    wait_ = wait;
  }

  /// Requires: nothing ended later than the makespan, and nobody left or joined.
  [[nodiscard]] LaneTime time(Instant makespan) const {
    LaneTime all = time_;
    if (away_) all.absent += makespan - since_;
    all.tail = makespan.time_since_epoch() - all.sum();
    return all;
  }

 private:
  void add_wait(Instant now) {
    pending_[static_cast<std::size_t>(wait_)] += now - since_;
    since_ = now;
  }
  void ran(Instant from, Instant to, Duration& part) {
    end(from, to, part);
    take_pending();
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
  bool away_ = false;
};

}  // namespace shardlab
