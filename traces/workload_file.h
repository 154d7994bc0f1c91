#pragma once

#include <string>
#include <string_view>

#include "core/workload.h"

namespace shardlab {

/// The jobs of a file: a table of jobs where its name ends in `.csv` (traces/job_table.h), else
/// TOML. That has `[[job]]` tables, `[defaults]` for keys that a job leaves out, `[arrivals]` for
/// jobs that do not say when they arrive, and `[early_stop]`; or, in place of `[[job]]`,
/// `job_table = "jobs.csv"`.
///
/// Any key but `name` may be a list. The job then expands into all combinations, the list that
/// stands first in the file varying slowest, and each is named after its values:
/// `gpt-small/batch=8,learning_rate=0.001`. A job without a name is `job-1` by its place in the
/// file. Files are taken relative to the folder of the file that names them.
///
/// Throws Error `file:line: key: what` on an unknown key (with the nearest known one), a wrong
/// type, a value that is missing or out of range, an empty list, no job, two jobs of one name, and
/// more than kMostGridJobs jobs.
Workload read_workload(const std::string& path);

/// The same from a text in TOML, but for curves; `origin` is the file's path, for errors and for
/// files it names.
Workload parse_workload(std::string_view text, const std::string& origin);

/// TOML that reads back as an equal Workload; arrivals beyond 100 days are off by nanoseconds.
/// Requires: no `early_stop`.
std::string workload_toml(const Workload& workload);

}  // namespace shardlab
