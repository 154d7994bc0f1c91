#pragma once

#include <span>
#include <string>
#include <string_view>

namespace shardlab {

/// Writes `content` so that `path` holds either what it held before or all of `content`, also after
/// a crash: a temporary file in the same folder, fsync, rename. A device or pipe (`/dev/stdout`) is
/// written directly. Throws Error with the path and the system's reason; nothing is left behind
/// then.
void write_file_atomically(const std::string& path, std::string_view content);
/// The same of parts, one after another.
void write_file_atomically(const std::string& path, std::span<const std::string_view> parts);

/// All bytes of a file, or what an InputRecording serves for it. Throws Error `path: cannot read:
/// reason`.
std::string read_whole_file(const std::string& path);

}  // namespace shardlab
