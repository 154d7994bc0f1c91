#pragma once

#include <string>
#include <string_view>

#include "core/cluster.h"

namespace shardlab {

/// The machine of a TOML file: `host_memory` and one `[[device]]` per device, or per `count` equal
/// ones, which are then called `name-0`, `name-1`, ... Sizes are "48 MiB" or integer bytes; a
/// link's `rate` is that per second.
///
/// Throws Error `file:line: key: what` on an unknown key (with the nearest known one), a wrong
/// type, a value that is missing or out of range, no device, and two devices of one name.
Cluster read_cluster(const std::string& path);

/// The same from a text; `origin` names it in errors.
Cluster parse_cluster(std::string_view text, const std::string& origin);

/// TOML that reads back as an equal Cluster, but that rates are whole bytes per second.
std::string cluster_toml(const Cluster& cluster);

}  // namespace shardlab
