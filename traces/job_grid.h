#pragma once

#include <string>

#include "traces/job_table.h"
#include "traces/toml_node.h"

namespace shardlab {

constexpr std::int64_t kMostGridJobs = 100'000;  ///< A larger grid is refused: a typing error.

/// What a value in TOML makes of a job. Throws Error without a place.
void set_value(JobDraft& draft, const JobKey& key, const toml::node& value);

/// The jobs of all `[[job]]` of `root`, lists expanded; keys that a job leaves out are those of
/// `defaults`. Throws Error as parse_workload() does.
JobList expand_jobs(const toml::table& root, const toml::table& defaults,
                    const std::string& origin);

/// A draft that has the keys of `[defaults]`, none of them a list.
JobDraft single_defaults(const toml::table& defaults, const std::string& origin);

}  // namespace shardlab
