#include <utility>

#include "exec/execution.h"

namespace shardlab {

Observer::Observer(const Program& program, const RunOptions& options)
    : program_(program),
      options_(options),
      losses_(program.jobs.size()),
      loss_(program.jobs.size()),
      units_(program.jobs.size()) {}

/// How many the job has completed if `run` completed one, else 0. Tracks may be in different
/// minibatches: then so many units as whole minibatches have is what counts.
std::int64_t Observer::minibatches_after(const UnitRun& run) {
  const JobProgram& job = program_.jobs[index(run.job)];
  if (job.tracks.empty()) return run.unit + 1 == job.units.size() ? run.minibatch + 1 : 0;
  const auto units = static_cast<std::int64_t>(job.units.size());
  const std::int64_t ran = ++units_[index(run.job)];
  return ran % units == 0 ? ran / units : 0;
}

void Observer::operator()(const UnitRun& run, const Work::Pass& pass, const std::string& failure,
                          Instant now) {
  const std::size_t j = index(run.job);
  RunProgress progress{now, ended_, run.job, run.minibatch, {}, true, failure};
  if (failure.empty()) {
    if (pass.has_loss) loss_[j] = pass.loss;
    progress.minibatch = minibatches_after(run);
    if (progress.minibatch == 0) return;
    progress.loss = std::exchange(loss_[j], {});
    progress.job_ended = progress.minibatch == program_.jobs[j].minibatches;
    if (progress.loss) losses_[j].push_back(*progress.loss);
  }
  if (progress.job_ended) progress.jobs_ended = ++ended_;
  if (options_.progress) options_.progress(progress);
}

}  // namespace shardlab
