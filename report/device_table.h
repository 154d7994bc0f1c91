#pragma once

#include <string>

#include "core/timeline.h"
#include "report/metrics.h"

namespace shardlab {

/// Per device: the three utilizations, the parts of its idle time, bytes moved and the peak against
/// the budget.
std::string device_table(const Timeline& timeline, const Metrics& metrics);

}  // namespace shardlab
