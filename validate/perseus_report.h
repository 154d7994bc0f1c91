#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "validate/perseus.h"

namespace shardlab {

/// For a terminal: a table of runs, what was fitted on which half, and the statistics.
std::string perseus_text(const PerseusValidation& found);

/// What --json prints; docs/formats.md lists it.
nlohmann::ordered_json perseus_json(const PerseusValidation& found);

}  // namespace shardlab
