#pragma once

#include <string>
#include <vector>

#include "core/profile.h"

namespace shardlab {

/// How long a process may record what `profile` has: far more than it takes.
Duration recording_limit(const Profile& profile);

/// `profile`, with the records that another process adds to a copy of it: `program` with
/// `arguments` and "--add-records FILE". Recording slows a process from then on, and this one may
/// measure more. Whatever goes wrong there, the times are good: then the profile says why it has no
/// records. Never throws an Error.
Profile with_records(Profile profile, const std::string& program,
                     std::vector<std::string> arguments, Duration limit);

}  // namespace shardlab
