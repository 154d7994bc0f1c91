#pragma once

#include <atomic>

namespace shardlab {

/// While it lives, Ctrl-C or SIGTERM sets stop() instead of ending the process; a second one ends
/// it. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] const std::atomic<bool>& stop() const;
};

}  // namespace shardlab
