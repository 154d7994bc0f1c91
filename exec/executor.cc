#include "exec/executor.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "core/error.h"
#include "exec/host_need.h"
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

/// Hands a job's states on with their losses. A failure is a notice, and the run goes on.
class Saver {
 public:
  /// Requires: all outlive it.
  Saver(const RunOptions& options, const Program& program, const Observer& observer)
      : options_(options), program_(program), observer_(observer), unsaved_(program.jobs.size()) {}

  void operator()(JobId id, std::int64_t minibatches, bool last,
                  const std::function<Checkpoint()>& state) {
    try {
      Checkpoint now = state();
      now.losses = observer_.losses(id);
      now.losses.resize(static_cast<std::size_t>(minibatches));
      options_.save(id, now);
    } catch (const std::exception& failure) {
      const JobProgram& job = program_.jobs[index(id)];
      if (last) unsaved_[index(id)] = failure.what();
      if (!options_.notice) return;
      options_.notice(job.name +
                      (last ? ": its final state is not on disk: "
                            : ": no checkpoint of minibatch " + std::to_string(minibatches) +
                                  ", training goes on: ") +
                      failure.what());
    }
  }
  /// Per job: why its final state is not on disk.
  [[nodiscard]] const std::vector<std::string>& unsaved() const { return unsaved_; }

 private:
  const RunOptions& options_;
  const Program& program_;
  const Observer& observer_;
  std::vector<std::string> unsaved_;
};

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
  refuse_too_little_host(program, cluster, program.checkpoints.any());
  Observer observer(program, options);
  Saver saver(options, program, observer);
  const auto parts = std::make_shared<Inputs>(Inputs{workload, cluster, program, nullptr});
  parts->training =
      std::make_unique<Training>(parts->workload, parts->cluster, parts->program, first_layers,
                                 options.resume, options.save ? std::ref(saver) : Training::Save{});
  Training& training = *parts->training;
  if (options.begun) options.begun();
  RunResult result = execute(program, cluster, policy, {parts, &training}, observer, options);
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    result.timeline.peak[d] = training.peak(device_id(d));
  }
  for (std::size_t j = 0; j < result.jobs.size(); ++j) {
    result.jobs[j].unsaved = saver.unsaved()[j];
    const JobEnd& end = result.outcome.jobs[j];
    if (!end.completed && !end.stopped_early) continue;
    TrainedJob trained = training.result(job_id(j), options.keep_weights);
    trained.losses = std::move(result.jobs[j].losses);
    trained.unsaved = std::move(result.jobs[j].unsaved);
    result.jobs[j] = std::move(trained);
  }
  return result;
}

}  // namespace shardlab
