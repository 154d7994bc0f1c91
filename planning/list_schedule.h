#pragma once

#include <vector>

#include "planning/job_options.h"

namespace shardlab {

/// Which option each job takes, and on which group of devices.
struct Assignment {
  std::vector<std::size_t> option;  ///< Index into the job's options.
  std::vector<int> group;           ///< 0 where the option binds nothing.

  bool operator==(const Assignment&) const = default;
};

/// OptionsPerJob per job.
using OptionsPerJob = std::vector<std::vector<JobOption>>;

/// What an assignment comes to without simulating it.
struct ListSchedule {
  Assignment assignment;
  Duration makespan{};
};

/// Jobs one after the other, the longest first, each on the group that is free first, as if its
/// devices were its alone; what spills fills the rest. Longest processing time first for gangs.
ListSchedule list_schedule(const OptionsPerJob& options, const std::vector<std::size_t>& chosen,
                           int devices);

/// The `count` best of all choices of options by list_schedule(), best first: branch and bound over
/// the jobs, the longest first, with at most `nodes` nodes. A branch is cut where work / devices or
/// its longest job is no better than the worst kept.
std::vector<ListSchedule> best_schedules(const OptionsPerJob& options, int devices,
                                         std::size_t count, std::int64_t nodes);

}  // namespace shardlab
