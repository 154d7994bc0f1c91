#pragma once

#include <string>
#include <vector>

#include "cli/inputs.h"
#include "report/summary.h"

namespace shardlab {

/// Per job: model, minibatches, and its parameters, gradients and state against the smallest
/// device.
std::string jobs_text(const Inputs& inputs);

/// Per plan: predicted, measured (median and all), error, naive estimate, utilization, bytes moved
/// and drift; then how many times as long as the first each takes.
std::string measured_text(const std::vector<MeasuredPlan>& plans);

/// What of devices x makespan was no unit's own computation in the median run, by its causes.
std::string overhead_text(const MeasuredPlan& plan);

}  // namespace shardlab
