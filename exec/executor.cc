#include "exec/executor.h"

#include <deque>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

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
      : program_(program), options_(options), jobs_(jobs), state_(program.jobs.size()) {
    for (std::size_t j = 0; j < state_.size(); ++j) state_[j].parts = parts_of(program.jobs[j]);
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
      jobs_[index(run.job)].losses.push_back(sum / static_cast<double>(losses.size()));
      state.under_way.pop_front();
      ++state.complete;
    }
  }

  const Program& program_;
  const RunOptions& options_;
  std::vector<TrainedJob>& jobs_;
  std::vector<State> state_;
  std::size_t ended_ = 0;
};

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
  Training training(workload, cluster, program, first_layers);
  {
    Observer observer(program, options, result.jobs);
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
