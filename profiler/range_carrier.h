#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "profiler/activity_session.h"
#include "profiler/attribution.h"

namespace shardlab {

/// Marks ranges for a session wherever LibTorch launches their work: CUPTI's ids belong to the
/// calling thread, but autograd launches the backward of an accelerator from a thread of its own.
/// One range at a time; one carrier per process.
class RangeCarrier {
 public:
  /// Requires: the session outlives the carrier.
  explicit RangeCarrier(ActivitySession& session);
  ~RangeCarrier();
  RangeCarrier(const RangeCarrier&) = delete;
  RangeCarrier& operator=(const RangeCarrier&) = delete;

  /// What this thread asks for until leave() belongs to `range`, which is not 0.
  void enter(std::uint64_t range);
  void leave();

  /// When each range was open, by the clock of CUPTI.
  [[nodiscard]] const std::vector<LaunchWindow>& windows() const { return windows_; }

 private:
  ActivitySession& session_;
  std::uint64_t callback_ = 0;
  struct Open;
  std::unique_ptr<Open> open_;
  std::vector<LaunchWindow> windows_;
};

}  // namespace shardlab
