#pragma once

#include <string>
#include <vector>

#include "cli/engine.h"

namespace shardlab {

/// Profiles with a progress line on a terminal.
Profile profile_with_progress(Engine& engine, const Workload& workload, const Cluster& cluster,
                              const ProfileOptions& options);

/// What the machine was like, before and afterwards, line by line.
std::string conditions_text(const std::vector<Condition>& conditions);

/// Per model: parameters and times, alone against loaded; then copies, overheads and drift.
std::string profile_text(const Profile& profile);

}  // namespace shardlab
