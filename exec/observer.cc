#include <numeric>
#include <utility>

#include "exec/execution.h"

namespace shardlab {

Observer::Observer(const Program& program, const RunOptions& options)
    : program_(program), options_(options), jobs_(program.jobs.size()) {
  for (std::size_t j = 0; j < jobs_.size(); ++j) {
    jobs_[j].parts = parts_of(program.jobs[j]);
    jobs_[j].complete = program.jobs[j].done;
    if (program.jobs[j].done == program.jobs[j].minibatches) ++ended_;
    if (program.jobs[j].done > 0) jobs_[j].losses = options.resume[j]->losses;
  }
}

std::vector<double> Observer::losses(JobId job) const {
  const std::lock_guard lock(mutex_);
  return jobs_[index(job)].losses;
}

void Observer::operator()(const UnitRun& run, const Work::Pass& pass, const std::string& failure,
                          Instant now) {
  Job& job = jobs_[index(run.job)];
  RunProgress progress{now, ended_, run.job, job.complete, {}, true, failure, false};
  if (failure.empty()) {
    count(run, pass);
    if (job.complete == progress.minibatch) return;
    progress.minibatch = job.complete;
    progress.loss = job.loss;
    progress.job_ended = job.complete == program_.jobs[index(run.job)].minibatches;
  }
  if (progress.job_ended) progress.jobs_ended = ++ended_;
  if (options_.progress) options_.progress(progress);
}

void Observer::stopped(JobId job, std::int64_t minibatches, const std::string& reason,
                       Instant now) {
  ++ended_;
  if (options_.progress) options_.progress({now, ended_, job, minibatches, {}, true, reason, true});
}

void Observer::went_back(JobId id, std::int64_t minibatches) {
  const std::lock_guard lock(mutex_);
  Job& job = jobs_[index(id)];
  job.complete = minibatches;
  job.under_way.clear();
  if (!job.losses.empty()) job.losses.resize(static_cast<std::size_t>(minibatches));
}

/// A minibatch's loss is the mean of its microbatches'.
void Observer::count(const UnitRun& run, const Work::Pass& pass) {
  const std::vector<Unit>& units = program_.jobs[index(run.job)].units;
  Job& job = jobs_[index(run.job)];
  const auto ahead = static_cast<std::size_t>(run.minibatch - job.complete);
  while (job.under_way.size() <= ahead) job.under_way.emplace_back();
  Minibatch& minibatch = job.under_way[ahead];
  ++minibatch.units;
  if (pass.has_loss) {
    minibatch.losses.resize(static_cast<std::size_t>(job.parts.count()));
    minibatch.losses[static_cast<std::size_t>(job.parts.place(units[run.unit]))] = pass.loss;
  }
  while (!job.under_way.empty() && job.under_way.front().units == units.size()) {
    const auto& losses = job.under_way.front().losses;
    job.loss.reset();
    if (!losses.empty()) {
      job.loss =
          std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
      const std::lock_guard lock(mutex_);
      job.losses.push_back(*job.loss);
    }
    job.under_way.pop_front();
    ++job.complete;
  }
}

}  // namespace shardlab
