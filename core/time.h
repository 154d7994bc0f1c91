#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace shardlab {

/// Integer nanoseconds, so that runs which should tie do tie. Never a `double` outside report/.
using Duration = std::chrono::duration<std::int64_t, std::nano>;

/// The clock of one run: virtual in the simulator, the wall's in the executor. Zero is the start of
/// the run.
struct RunClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<RunClock, Duration>;
  static constexpr bool is_steady = true;
};
using Instant = RunClock::time_point;

/// The end of time: what is awaited for then does not come.
constexpr Instant kNever = Instant::max();

/// Which choice of an instant. What takes no time ends in another `round` of the same instant; in
/// each of them devices that hold nothing choose in pass 0, those that fill a buffer in pass 1, and
/// again in further passes as units start.
struct Turn {
  std::int32_t round = 0, pass = 0;
  auto operator<=>(const Turn&) const = default;
};

/// For report/ and messages only.
constexpr double seconds(Duration d) { return static_cast<double>(d.count()) * 1e-9; }
constexpr double seconds(Instant t) { return seconds(t.time_since_epoch()); }

}  // namespace shardlab
