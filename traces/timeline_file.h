#pragma once

#include <string>
#include <string_view>

#include "core/timeline.h"

namespace shardlab {

// Units and copies are tables, a list of column names and one list per row, as there are tens of
// thousands: docs/formats.md names the columns. Jobs and devices are indices into the lists of
// names.

/// Writes JSON that reads back as an equal Timeline; same timeline, same bytes. Atomic: see
/// write_file_atomically.
void write_timeline(const std::string& path, const Timeline& timeline);

/// Throws Error `path: where: field: what` on another format or version, a file cut off (with the
/// byte), a missing field, a wrong type, and a negative or impossible value.
Timeline read_timeline(const std::string& path);

// The same on a text, without the path in errors.
std::string timeline_json(const Timeline& timeline);
Timeline parse_timeline(std::string_view text);

}  // namespace shardlab
