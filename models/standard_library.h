#pragma once

#include <filesystem>

namespace shardlab {

/// Folder of the newest Python standard library of this machine: real text that is nearly always
/// there. Throws Error when there is none.
std::filesystem::path find_standard_library();

}  // namespace shardlab
