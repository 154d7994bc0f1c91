#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace shardlab::instances {

using Chains = std::vector<std::vector<int>>;

/// The least makespan of all of jobs that only compute, on equal devices: every order of all units
/// is tried, each unit taking the device that is free first. Some such order gives an optimal
/// schedule.
class LeastMakespan {
 public:
  LeastMakespan(const Chains& jobs, std::size_t devices)
      : jobs_(jobs), next_(jobs.size()), job_free_(jobs.size()), device_free_(devices) {}

  std::int64_t find() {
    std::int64_t best = INT64_MAX;
    for (std::size_t j = 0; j < jobs_.size(); ++j) {
      if (next_[j] == jobs_[j].size()) continue;
      const auto device = std::ranges::min_element(device_free_);
      const std::int64_t was_free = *device, was_ready = job_free_[j];
      *device = job_free_[j] = std::max(was_free, was_ready) + jobs_[j][next_[j]++];
      best = std::min(best, find());
      --next_[j];
      *device = was_free;
      job_free_[j] = was_ready;
    }
    return best == INT64_MAX ? *std::ranges::max_element(job_free_) : best;
  }

 private:
  const Chains& jobs_;
  std::vector<std::size_t> next_;
  std::vector<std::int64_t> job_free_, device_free_;
};

}  // namespace shardlab::instances
