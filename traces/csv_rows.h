#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace shardlab {

/// A header and a line per row, as CsvReader reads it. Texts stand in double quotes; null is an
/// empty field. Requires: a list of objects with the same keys in the same order, at least one.
std::string csv_text(const nlohmann::ordered_json& rows);

}  // namespace shardlab
