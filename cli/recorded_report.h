#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/profile.h"

namespace shardlab {

/// A table of what activity records say of these models, by phase and a minibatch each, with what
/// belongs to no layer; then which layers copy or wait most. Empty where there are no records.
std::string recorded_text(const std::vector<const ModelProfile*>& models);

/// All of it, layer by layer: {"layers": [{"name": ..., "forward": {...}}], "whole_step": {...},
/// "unattributed": {...}}; null where there is nothing.
nlohmann::ordered_json recorded_json(const ModelProfile& model);

}  // namespace shardlab
