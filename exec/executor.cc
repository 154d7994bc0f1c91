#include "exec/executor.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "core/error.h"
#include "exec/training.h"

namespace shardlab {
namespace {

void refuse_what_cannot_train(const Workload& workload, const Program& program) {
  for (const JobProgram& job : program.jobs) {
    const bool graphs = std::ranges::any_of(job.items, [](const Item& item) {
      return item.kind == ItemKind::kGraph && item.bytes > 0;
    });
    if (job.held || !graphs) continue;
    throw Error(job.name +
                ": zero_offload cannot keep activations, which may have to leave the device; let "
                "it recompute them");
  }
  for (const Job& job : workload.jobs) {
    if (!job.frozen()) continue;
    throw Error(job.name + ": " + (job.lora_rank > 0 ? "lora_rank" : "frozen_layers") +
                ": frozen parameters are simulated only so far; take the key out to train it all");
  }
}

/// Hands a job's state on with its losses; a failure is a notice, and the run goes on.
void save(const RunOptions& options, const std::string& name, const Observer& observer, JobId job,
          Checkpoint state) {
  try {
    state.losses = observer.losses(job);
    state.losses.resize(static_cast<std::size_t>(state.minibatch));
    options.save(job, state);
  } catch (const std::exception& failure) {
    if (options.notice) {
      options.notice(name + ": no checkpoint of minibatch " + std::to_string(state.minibatch) +
                     ", training goes on: " + failure.what());
    }
  }
}

/// A training with what it refers to, as both may have to stay for ever; see execute().
struct Inputs {
  Workload workload;
  Cluster cluster;
  Program program;
  std::unique_ptr<Training> training;
};

}  // namespace

RunResult run(const Workload& workload, const Cluster& cluster, const Program& program,
              const std::vector<std::vector<int>>& first_layers, Policy& policy,
              const RunOptions& options) {
  refuse_what_cannot_run(program, cluster);
  refuse_what_cannot_train(workload, program);
  Observer observer(program, options);
  Training::Save saver;
  if (options.save) {
    saver = [&](JobId job, Checkpoint state) {
      save(options, program.jobs[index(job)].name, observer, job, std::move(state));
    };
  }
  const auto parts = std::make_shared<Inputs>(Inputs{workload, cluster, program, nullptr});
  parts->training = std::make_unique<Training>(parts->workload, parts->cluster, parts->program,
                                               first_layers, options.resume, saver);
  Training& training = *parts->training;
  if (options.begun) options.begun();
  RunResult result = execute(program, cluster, policy, {parts, &training}, observer, options);
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    result.timeline.peak[d] = training.peak(device_id(d));
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
