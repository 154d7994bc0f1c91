#pragma once

#include <cstdint>
#include <vector>

#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

/// Progress of jobs: which unit of which minibatch comes next.
class Ledger {
 public:
  explicit Ledger(const Program& program) {
    progress_.reserve(program.jobs.size());
    for (const JobProgram& job : program.jobs) {
      progress_.push_back({job.units.data(), static_cast<std::uint32_t>(job.units.size()), 0, 0,
                           job.minibatches, job.minibatches * minibatch_time(job)});
    }
  }

  /// The job's current unit is done.
  void advance(JobId job) { step(progress_[index(job)]); }

  [[nodiscard]] bool complete(JobId job) const {
    return progress_[index(job)].minibatch == progress_[index(job)].minibatches;
  }
  [[nodiscard]] std::int64_t minibatch(JobId job) const { return progress_[index(job)].minibatch; }
  [[nodiscard]] std::uint32_t unit(JobId job) const { return progress_[index(job)].unit; }

  /// The job's current unit, or (`ahead`) the one after it, as a policy sees it.
  /// Requires: the job has that unit.
  [[nodiscard]] Candidate candidate(JobId job, bool ahead = false) const {
    Progress at = progress_[index(job)];
    if (ahead) step(at);
    const Unit& unit = at.units[at.unit];
    return {job, at.unit, at.minibatch, unit.bound, at.remaining, unit.expected, {}, ahead};
  }
  [[nodiscard]] bool has_next(JobId job) const {
    const Progress& at = progress_[index(job)];
    return at.unit + 1 < at.count || at.minibatch + 1 < at.minibatches;
  }

 private:
  struct alignas(64) Progress {
    const Unit* units = nullptr;
    std::uint32_t count = 0;
    std::uint32_t unit = 0;
    std::int64_t minibatch = 0;
    std::int64_t minibatches = 0;
    Duration remaining{};  ///< Estimated time to the end of the job, from the current unit on.
  };
  static void step(Progress& at) {
    at.remaining -= at.units[at.unit].expected;
    if (++at.unit < at.count) return;
    at.unit = 0;
    ++at.minibatch;
  }

  std::vector<Progress> progress_;
};

}  // namespace shardlab
