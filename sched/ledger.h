#pragma once

#include <cstdint>
#include <vector>

#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

/// Progress of jobs: which unit of which minibatch comes next.
class Ledger {
 public:
  explicit Ledger(const Program& program) : program_(program), progress_(program.jobs.size()) {}

  /// The job's current unit is done.
  void advance(JobId job) {
    Progress& at = progress_[index(job)];
    if (++at.unit == program_.jobs[index(job)].units.size()) {
      at.unit = 0;
      ++at.minibatch;
    }
  }

  [[nodiscard]] bool complete(JobId job) const {
    return progress_[index(job)].minibatch == program_.jobs[index(job)].minibatches;
  }
  [[nodiscard]] std::int64_t minibatch(JobId job) const { return progress_[index(job)].minibatch; }
  [[nodiscard]] std::uint32_t unit(JobId job) const { return progress_[index(job)].unit; }

  /// The job's current unit, or (`ahead`) the one after it, as a policy sees it.
  /// Requires: the job has that unit.
  [[nodiscard]] Candidate candidate(JobId job, bool ahead = false) const {
    const JobProgram& program = program_.jobs[index(job)];
    Progress at = progress_[index(job)];
    if (ahead && ++at.unit == program.units.size()) at = {at.minibatch + 1, 0};
    const Unit& unit = program.units[at.unit];
    const Duration rest = program.rest[at.unit];
    return {job,
            at.unit,
            at.minibatch,
            unit.bound,
            rest + (program.minibatches - at.minibatch - 1) * program.rest.front(),
            rest - program.rest[at.unit + 1],
            {},
            ahead};
  }
  [[nodiscard]] bool has_next(JobId job) const {
    const JobProgram& program = program_.jobs[index(job)];
    const Progress& at = progress_[index(job)];
    return at.unit + 1 < program.units.size() || at.minibatch + 1 < program.minibatches;
  }

 private:
  struct Progress {
    std::int64_t minibatch = 0;
    std::uint32_t unit = 0;
  };
  const Program& program_;
  std::vector<Progress> progress_;
};

}  // namespace shardlab
