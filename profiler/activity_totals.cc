#include "profiler/activity_totals.h"

#include <algorithm>

#include <fmt/format.h>

namespace shardlab {
namespace {

template <typename Number>
double share(Number part, Number whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

}  // namespace

void ActivityTotals::add(const ActivityLog& log, const Attribution& found, Duration undisturbed,
                         Duration recorded, Duration by_events) {
  for (const auto& [id, times] : found.ranges) {
    kernels_ += times.busy;
    layers_ += times.busy + times.waiting;
  }
  by_events_ += by_events;
  kernels_ += found.unattributed.busy;
  unattributed_ += found.unattributed.busy;
  undisturbed_ += undisturbed;
  recorded_ += recorded;
  activities_ += static_cast<std::int64_t>(log.activities.size());
  by_launch_ += found.by_launch;
  mismatched_ += found.mismatched;
  ambiguous_ += found.ambiguous;
  dropped_ += log.dropped + log.bad_times + log.early_starts + log.unknown_kinds;
}

ActivityFacts ActivityTotals::facts(const std::string& problems) const {
  ActivityFacts facts;
  facts.source =
      std::string("CUPTI activity records") + (incomplete_ ? ", incomplete" : "") + problems;
  if (mismatched_ > 0) {
    facts.source += fmt::format(
        "; mismatched cross-check: {} of {} records belong to one layer by their id and to another "
        "by the time of their launch",
        mismatched_, activities_);
  }
  if (ambiguous_ > 0) {
    facts.source +=
        fmt::format("; {} of {} records have no id and were launched while several layers were",
                    ambiguous_, activities_);
  }
  facts.unattributed = share(unattributed_.count(), kernels_.count());
  facts.by_launch = share(by_launch_, activities_);
  facts.mismatched = share(mismatched_, activities_);
  facts.slow_down = std::max(0.0, share((recorded_ - undisturbed_).count(), undisturbed_.count()));
  facts.dropped = dropped_;
  if (layers_ > Duration{} && by_events_ > Duration{}) {
    facts.over_events = share(layers_.count(), by_events_.count());
  }
  return facts;
}

}  // namespace shardlab
