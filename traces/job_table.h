#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "traces/job_keys.h"

namespace shardlab {

constexpr std::size_t kMostJobRows = 1'000'000;

/// The jobs of a file, and of each whether it says when it arrives.
struct JobList {
  std::vector<Job> jobs;
  std::vector<bool> arrives;
};

/// The jobs of a CSV text: one per row, its columns the keys of a job. An empty field is as if the
/// key were not given, and then takes what `defaults` has. A job without a name is `job-1` by its
/// row; `data` is taken relative to the file's folder. Lines that begin with `#` are passed over.
///
/// Throws Error `file:line: column: what` on an unknown column (with the nearest known one), a
/// value that is missing, of another type or out of range, no row, two jobs of one name, and more
/// than kMostJobRows rows.
JobList parse_job_table(std::string_view text, const std::string& origin, const JobDraft& defaults);

}  // namespace shardlab
