#include "exec/executor.h"

#include <mutex>
#include <string>
#include <utility>

#include "core/error.h"
#include "exec/runtime.h"
#include "exec/training.h"
#include "sched/limits.h"

namespace shardlab {
namespace {

/// Losses per job and progress messages, from what lanes report.
class Observer {
 public:
  Observer(const Program& program, const RunOptions& options, std::vector<TrainedJob>& jobs)
      : program_(program), options_(options), jobs_(jobs), loss_(program.jobs.size()) {
    for (std::size_t j = 0; j < options.resume.size(); ++j) {
      if (options.resume[j] == nullptr) continue;
      jobs_[j].losses = options.resume[j]->losses;
      if (program.jobs[j].done == program.jobs[j].minibatches) ++ended_;
    }
  }

  /// Of minibatches that are complete. Any thread.
  std::vector<double> losses(JobId job, std::int64_t minibatches) {
    const std::lock_guard lock(mutex_);
    const auto& all = jobs_[index(job)].losses;
    return {all.begin(), all.begin() + minibatches};
  }

  void operator()(const UnitRun& run, const Work::Pass& pass, const std::string& failure,
                  Instant now) {
    const JobProgram& job = program_.jobs[index(run.job)];
    if (pass.has_loss) loss_[index(run.job)] = pass.loss;
    const bool minibatch_done = failure.empty() && run.unit + 1 == job.units.size();
    if (!minibatch_done && failure.empty()) return;
    RunProgress progress{now, ended_, run.job, run.minibatch, 0, !minibatch_done, failure};
    if (minibatch_done) {
      progress.minibatch = run.minibatch + 1;
      progress.loss = loss_[index(run.job)];
      progress.job_ended = progress.minibatch == job.minibatches;
      const std::lock_guard lock(mutex_);
      auto& losses = jobs_[index(run.job)].losses;
      losses.resize(static_cast<std::size_t>(run.minibatch));  // It may run again.
      losses.push_back(progress.loss);
    }
    if (progress.job_ended) progress.jobs_ended = ++ended_;
    if (options_.progress) options_.progress(progress);
  }

 private:
  const Program& program_;
  const RunOptions& options_;
  std::vector<TrainedJob>& jobs_;
  std::vector<double> loss_;
  std::size_t ended_ = 0;
  std::mutex mutex_;  ///< Of the losses: checkpoints are written beside the lanes.
};

/// Hands a job's state on with its losses; a failure is a notice, and the run goes on.
void save(const RunOptions& options, const std::string& name, Observer& observer, JobId job,
          Checkpoint state) {
  try {
    state.losses = observer.losses(job, state.minibatch);
    options.save(job, state);
  } catch (const std::exception& failure) {
    if (options.notice) {
      options.notice(name + ": no checkpoint of minibatch " + std::to_string(state.minibatch) +
                     ", training goes on: " + failure.what());
    }
  }
}

}  // namespace

RunResult run(const Workload& workload, const Cluster& cluster, const Program& program,
              const std::vector<std::vector<int>>& first_layers, Policy& policy,
              const RunOptions& options) {
  refuse_what_cannot_fit(program, cluster);
  refuse_shared_pacing(cluster);
  for (const JobProgram& job : program.jobs) {
    if (job.tracks.empty()) continue;
    throw Error(job.name +
                ": pipelines, replicas and zero_offload are simulated only so far; run spill, "
                "resident or model_parallel");
  }
  for (const Job& job : workload.jobs) {
    if (!job.frozen()) continue;
    throw Error(job.name + ": " + (job.lora_rank > 0 ? "lora_rank" : "frozen_layers") +
                ": frozen parameters are simulated only so far; take the key out to train it all");
  }
  RunResult result;
  result.jobs.resize(workload.jobs.size());
  Timeline& timeline = result.timeline;
  timeline.source = "measured";
  for (const Job& job : workload.jobs) timeline.jobs.push_back(job.name);
  for (const DeviceSpec& device : cluster.devices) {
    timeline.devices.push_back(device.name);
    timeline.budget.push_back(device.memory);
  }
  Observer observer(program, options, result.jobs);
  Training::Save saver;
  if (options.save) {
    saver = [&](JobId job, Checkpoint state) {
      save(options, program.jobs[index(job)].name, observer, job, std::move(state));
    };
  }
  Training training(workload, cluster, program, first_layers, options.resume, saver);
  if (options.begun) options.begun();
  {
    Runtime* clock = nullptr;
    Runtime runtime(cluster, training,
                    [&](const UnitRun& run, const Work::Pass& pass, const std::string& failure) {
                      observer(run, pass, failure, clock->now());
                    });
    clock = &runtime;
    Driver driver(program, cluster, policy, runtime, &timeline, /*tracks_memory=*/true);
    result.outcome = runtime.run(driver, options.stop);
  }  // All lanes have ended.
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    timeline.peak[d] = training.peak(device_id(d));
  }
  for (std::size_t j = 0; j < result.jobs.size(); ++j) {
    if (!result.outcome.jobs[j].completed) continue;
    TrainedJob trained = training.result(job_id(j), options.keep_weights);
    trained.losses = std::move(result.jobs[j].losses);
    result.jobs[j] = std::move(trained);
  }
  return result;
}

}  // namespace shardlab
