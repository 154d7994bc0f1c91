#pragma once

#include <optional>
#include <span>
#include <string>

#include "cli/inputs.h"
#include "core/plan.h"

namespace shardlab {

/// The widest 90 % interval among the costs that a plan takes; nothing where all were measured.
/// Throws Error when the profile lacks one of them.
std::optional<double> estimated_interval(const Inputs& inputs, const Plan& plan);

/// "estimated, not measured: ...": what a prediction from such costs is worth.
std::string estimate_text(const Inputs& inputs, double interval);

}  // namespace shardlab
