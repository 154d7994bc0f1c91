#pragma once

#include <string>
#include <string_view>

#include "core/plan.h"

namespace shardlab {

/// Writes JSON that reads back as an equal Plan; same plan, same bytes. Atomic: see
/// write_file_atomically.
void write_plan(const std::string& path, const Plan& plan);

/// Throws Error `path: where: field: what` on another format or version, a file cut off (with the
/// byte), a missing field, a wrong type, and a negative or impossible value.
Plan read_plan(const std::string& path);

// The same on a text, without the path in errors.
std::string plan_json(const Plan& plan);
Plan parse_plan(std::string_view text);

}  // namespace shardlab
