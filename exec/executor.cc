#include "exec/executor.h"

#include <deque>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "exec/parts.h"
#include "exec/runtime.h"
#include "exec/training.h"
#include "sched/limits.h"

namespace shardlab {
namespace {

/// Losses per job and progress messages, from what lanes report.
class Observer {
 public:
  Observer(const Program& program, const RunOptions& options, std::vector<TrainedJob>& jobs)
      : program_(program), options_(options), jobs_(jobs), state_(program.jobs.size()) {
    for (std::size_t j = 0; j < state_.size(); ++j) {
      state_[j].parts = parts_of(program.jobs[j]);
      state_[j].complete = program.jobs[j].done;
      if (program.jobs[j].done == program.jobs[j].minibatches) ++ended_;
      if (program.jobs[j].done > 0) jobs_[j].losses = options.resume[j]->losses;
    }
  }

  /// The job runs again from there.
  void went_back(JobId job, std::int64_t minibatches) {
    const std::lock_guard lock(mutex_);
    State& state = state_[index(job)];
    state.complete = minibatches;
    state.under_way.clear();
    jobs_[index(job)].losses.resize(static_cast<std::size_t>(minibatches));
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
    State& state = state_[index(run.job)];
    const std::int64_t complete = state.complete;
    if (failure.empty()) count(run, pass);
    if (state.complete == complete && failure.empty()) return;
    RunProgress progress{now, ended_, run.job, state.complete, 0, !failure.empty(), failure};
    if (failure.empty()) {
      progress.loss = jobs_[index(run.job)].losses.back();
      progress.job_ended = progress.minibatch == job.minibatches;
    }
    if (progress.job_ended) progress.jobs_ended = ++ended_;
    if (options_.progress) options_.progress(progress);
  }

 private:
  struct Minibatch {
    std::size_t units = 0;  ///< Done.
    std::vector<double> losses;
  };
  struct State {
    Parts parts;
    std::int64_t complete = 0;        ///< Minibatches.
    std::deque<Minibatch> under_way;  ///< Those after; tracks may be in different ones.
  };

  void count(const UnitRun& run, const Work::Pass& pass) {
    const JobProgram& job = program_.jobs[index(run.job)];
    State& state = state_[index(run.job)];
    const auto ahead = static_cast<std::size_t>(run.minibatch - state.complete);
    while (state.under_way.size() <= ahead) {
      state.under_way.push_back({0, std::vector<double>(state.parts.count())});
    }
    Minibatch& minibatch = state.under_way[ahead];
    ++minibatch.units;
    if (pass.has_loss) minibatch.losses[state.parts.place(job.units[run.unit])] = pass.loss;
    while (!state.under_way.empty() && state.under_way.front().units == job.units.size()) {
      const auto& losses = state.under_way.front().losses;
      const double sum = std::accumulate(losses.begin(), losses.end(), 0.0);
      {
        const std::lock_guard lock(mutex_);
        jobs_[index(run.job)].losses.push_back(sum / static_cast<double>(losses.size()));
      }
      state.under_way.pop_front();
      ++state.complete;
    }
  }

  const Program& program_;
  const RunOptions& options_;
  std::vector<TrainedJob>& jobs_;
  std::vector<State> state_;
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

Training::Save saver(const RunOptions& options, const Program& program, Observer& observer) {
  if (!options.save) return {};
  return [&](JobId job, Checkpoint state) {
    save(options, program.jobs[index(job)].name, observer, job, std::move(state));
  };
}

/// What the threads of a run use. One of a lost device may never end; then all of this stays.
struct Machinery {
  Workload workload;
  Cluster cluster;
  Program program;
  std::unique_ptr<Training> training;
  std::unique_ptr<Runtime> runtime;
};

/// Ends the threads of a run, however it ended.
class Ending {
 public:
  explicit Ending(std::unique_ptr<Machinery>& parts) : parts_(parts) {}
  ~Ending() {
    constexpr Duration kGrace = std::chrono::seconds(1);
    if (!parts_->runtime->close(kGrace)) (void)parts_.release();
  }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

 private:
  std::unique_ptr<Machinery>& parts_;
};

Runtime::Observer runtime_observer(const Machinery& parts, const RunOptions& options,
                                   Observer& observer) {
  Runtime::Observer all;
  all.unit = [&](const UnitRun& run, const Work::Pass& pass, const std::string& failure) {
    observer(run, pass, failure, parts.runtime->now());
  };
  all.went_back = [&](JobId job, std::int64_t minibatches) {
    observer.went_back(job, minibatches);
  };
  all.lost = [&](DeviceId device, const std::string& reason) {
    if (!options.notice) return;
    options.notice(parts.cluster.devices[index(device)].name +
                   " is taken out of the run: " + reason);
  };
  return all;
}

Watch watch_of(const Machinery& parts, const RunOptions& options) {
  return {options.watch, options.watch_times, [&program = parts.program](const UnitRun& run) {
            return expected_on(program, run.job, run.unit, run.device);
          }};
}

}  // namespace

RunResult run(const Workload& workload, const Cluster& cluster, const Program& program,
              const std::vector<std::vector<int>>& first_layers, Policy& policy,
              const RunOptions& options) {
  refuse_what_cannot_fit(program, cluster);
  refuse_shared_pacing(cluster);
  for (const JobProgram& job : program.jobs) {
    if (job.tracks.empty() || job.held) continue;
    throw Error(
        job.name +
        ": zero_offload is simulated only so far; run data_parallel(r, resident), or spill");
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
  auto parts = std::make_unique<Machinery>(Machinery{workload, cluster, program, {}, {}});
  parts->training =
      std::make_unique<Training>(parts->workload, parts->cluster, parts->program, first_layers,
                                 options.resume, saver(options, program, observer));
  const Training& training = *parts->training;
  if (options.begun) options.begun();
  Program driven = program;  // In which the Driver binds anew when a device is lost.
  parts->runtime = std::make_unique<Runtime>(parts->cluster, *parts->training,
                                             runtime_observer(*parts, options, observer),
                                             watch_of(*parts, options));
  {
    const Ending ending(parts);
    Driver driver(driven, cluster, policy, *parts->runtime, &timeline, /*tracks_memory=*/true);
    driver.may_lose_devices(driven);
    result.outcome = parts->runtime->run(driver, options.stop);
  }
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
