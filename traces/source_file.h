#pragma once

#include <string>

#include "core/profile.h"

namespace shardlab {

/// Name, size and hash of a file, which is read piece by piece. Throws Error `path: cannot read:
/// reason`.
SourceFile source_file(const std::string& path);

}  // namespace shardlab
