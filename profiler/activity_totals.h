#pragma once

#include <cstdint>
#include <string>

#include "core/profile.h"
#include "profiler/activity.h"
#include "profiler/attribution.h"

namespace shardlab {

/// How far the activity records of several models can be trusted.
class ActivityTotals {
 public:
  /// One model's records, how long its minibatch took without and with recording, and what events
  /// around all minibatches that were recorded say together.
  void add(const ActivityLog& log, const Attribution& found, Duration undisturbed,
           Duration recorded, Duration by_events);

  /// Records of a model are missing, or belong to nobody.
  void miss() { incomplete_ = true; }

  /// `problems` goes behind what the records are, and so does what the cross-check by the times of
  /// launches found.
  [[nodiscard]] ActivityFacts facts(const std::string& problems) const;

 private:
  Duration kernels_{}, unattributed_{};
  Duration undisturbed_{}, recorded_{};
  Duration layers_{}, by_events_{};
  bool incomplete_ = false;
  std::int64_t activities_ = 0, by_launch_ = 0, mismatched_ = 0, ambiguous_ = 0, dropped_ = 0;
};

}  // namespace shardlab
