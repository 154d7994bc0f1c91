#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/profile.h"

namespace shardlab {

/// Writes JSON that reads back as an equal Profile; same profile, same bytes. Atomic: see
/// write_file_atomically.
void write_profile(const std::string& path, const Profile& profile);

/// Throws Error `path: where: field: what` on another format or version, a file cut off (with the
/// byte), a missing field, a wrong type, and a negative or impossible value.
Profile read_profile(const std::string& path);

/// As `conditions` of a profile's provenance.
nlohmann::ordered_json conditions_json(const std::vector<Condition>& conditions);

// The same on a text, without the path in errors.
std::string profile_json(const Profile& profile);
Profile parse_profile(std::string_view text);

}  // namespace shardlab
