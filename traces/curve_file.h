#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/early_stop.h"
#include "core/workload.h"

namespace shardlab {

/// Learning curves as CSV with the columns job, minibatch and loss, one row per point, in any
/// order: per job of the workload its curve, in that order.
///
/// Throws Error `file:line: column: what` on a job that the workload has not, a minibatch below 1
/// or given twice, a loss that is no finite number, and a column that is missing or not known;
/// Error naming file and job where a job has no point.
std::vector<LearningCurve> read_curves(const std::string& path, const Workload& workload);

/// The same from a text; `origin` is for errors.
std::vector<LearningCurve> parse_curves(std::string_view text, const std::string& origin,
                                        const Workload& workload);

}  // namespace shardlab
