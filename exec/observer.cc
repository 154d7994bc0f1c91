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

void Observer::operator()(const UnitRun& run, const Work::Pass& pass, Instant now) {
  Job& job = jobs_[index(run.job)];
  const std::int64_t before = job.complete;
  count(run, pass);
  if (job.complete == before) return;
  const bool all = ran_whole(run.job);
  if (all) ++ended_;
  if (options_.progress) {
    options_.progress({now, ended_, run.job, job.complete, job.loss, all, {}, false});
  }
}

/// A job that ran all its units may still fail on its way to the host.
void Observer::failed(JobId job, const std::string& reason, Instant now) {
  if (!ran_whole(job)) ++ended_;
  if (!options_.progress) return;
  options_.progress({now, ended_, job, jobs_[index(job)].complete, {}, true, reason, false});
}

bool Observer::ran_whole(JobId job) const {
  return jobs_[index(job)].complete == program_.jobs[index(job)].minibatches;
}

void Observer::stopped(JobId job, std::int64_t minibatches, const std::string& reason,
                       Instant now) {
  ++ended_;
  if (options_.progress) options_.progress({now, ended_, job, minibatches, {}, true, reason, true});
}

void Observer::went_back(JobId id, std::int64_t minibatches) {
  const std::lock_guard lock(mutex_);
  if (ran_whole(id)) --ended_;
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
