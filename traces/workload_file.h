#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/workload.h"

namespace shardlab {

constexpr std::int64_t kMostJobs = 100'000;  ///< A larger grid is refused: it is a typing error.

/// The jobs of a TOML file: `[[job]]` tables, `[defaults]` for keys that a job leaves out.
///
/// Any key but `name` may be a list. The job then expands into all combinations, the list that
/// stands first in the file varying slowest, and each is named after its values:
/// `gpt-small/batch=8,learning_rate=0.001`. A job without a name is `job-1` by its place in the
/// file. `data` is taken relative to the file's folder.
///
/// Throws Error `file:line: key: what` on an unknown key (with the nearest known one), a wrong
/// type, a value that is missing or out of range, an empty list, no job, two jobs of one name, and
/// more than kMostJobs jobs.
Workload read_workload(const std::string& path);

/// The same from a text; `origin` is the file's path, for errors and for `data`.
Workload parse_workload(std::string_view text, const std::string& origin);

}  // namespace shardlab
