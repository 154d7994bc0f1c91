#include "exec/executor.h"

#include <utility>

#include "core/error.h"
#include "exec/training.h"

namespace shardlab {
namespace {

void refuse_what_cannot_train(const Workload& workload, const Program& program) {
  for (const JobProgram& job : program.jobs) {
    if (job.tracks.empty()) continue;
    throw Error(job.name +
                ": pipelines, replicas and zero_offload are not trained so far; run spill, "
                "resident or model_parallel, or all devices with kind = \"emulated\"");
  }
  for (const Job& job : workload.jobs) {
    if (!job.frozen()) continue;
    throw Error(job.name + ": " + (job.lora_rank > 0 ? "lora_rank" : "frozen_layers") +
                ": frozen parameters are simulated only so far; take the key out to train it all");
  }
}

}  // namespace

RunResult run(const Workload& workload, const Cluster& cluster, const Program& program,
              const std::vector<std::vector<int>>& first_layers, Policy& policy,
              const RunOptions& options) {
  refuse_what_cannot_run(program, cluster);
  refuse_what_cannot_train(workload, program);
  Training training(workload, cluster, program, first_layers);
  Observer observer(program, options);
  RunResult result = execute(program, cluster, policy, training, observer, options);
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
