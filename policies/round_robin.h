#pragma once

#include <vector>

#include "sched/candidate_index.h"

namespace shardlab {

/// Round robin: jobs take turns, one unit each. A job's key is the turn in which it was last
/// picked.
class RoundRobin final : public Policy {
 public:
  explicit RoundRobin(std::size_t jobs) : index_(jobs), last_turn_(jobs) {}

  void ready(const Candidate& unit) override { index_.set(unit, -last_turn_[index(unit.job)]); }
  void gone(JobId job) override { index_.clear(job); }
  JobId pick(const DeviceView& device) override {
    const JobId job = index_.first(device.id);
    if (job != kNoJob) last_turn_[index(job)] = ++turn_;
    return job;
  }

 private:
  CandidateIndex index_;
  std::vector<std::int64_t> last_turn_;
  std::int64_t turn_ = 0;
};

}  // namespace shardlab
