#pragma once

#include <string>

#include "cli/engine.h"

namespace shardlab {

/// Profiles with a progress line on a terminal.
Profile profile_with_progress(Engine& engine, const Workload& workload, const Cluster& cluster,
                              const ProfileOptions& options);

/// Per model: parameters and times, alone against loaded; then copies, overheads and drift.
std::string profile_text(const Profile& profile);

}  // namespace shardlab
