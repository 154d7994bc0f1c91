#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/checkpoint.h"
#include "core/cluster.h"
#include "core/timeline.h"
#include "core/workload.h"
#include "sched/driver.h"
#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

/// Where a run stands. Called under the scheduler's lock: return quickly.
struct RunProgress {
  Instant now{};
  std::size_t jobs_ended = 0;
  JobId job{};                 ///< Whose minibatch just ended, or which ended.
  std::int64_t minibatch = 0;  ///< How many the job has completed.
  double loss = 0;             ///< Of the last of them; 0 where the job was stopped.
  bool job_ended = false;
  std::string reason;  ///< Of a job that was stopped, in the minibatch after those.
};

struct RunOptions {
  std::function<void(const RunProgress&)> progress;
  const std::atomic<bool>* stop = nullptr;  ///< Set, for example by Ctrl-C: the run ends cleanly.
  bool keep_weights = false;                ///< Also return all final parameters.
  /// Per job, what it goes on from; null, or none at all: its initial weights. They outlive the
  /// run. Requires Job::done to say the same.
  std::vector<const Checkpoint*> resume;
  /// Called with each job that ends, and at borders as Program::checkpoints says, on a thread of
  /// its own. What it throws becomes a notice, and training goes on.
  std::function<void(JobId, const Checkpoint&)> save;
  std::function<void()> begun;  ///< Called when nothing was refused and before anything runs.
  std::function<void(const std::string&)> notice;  ///< What went wrong. On any thread.
  /// A unit or copy that takes longer than this, and so many times its estimate, has its device
  /// taken out of the run; 0: never.
  Duration watch = std::chrono::seconds(30);
  double watch_times = 20;
};

struct TrainedJob {
  std::vector<double> losses;  ///< Per complete minibatch.
  /// xxHash64 of parameters and state in the order of the layers; 0 if the job did not complete, as
  /// host memory may then hold shards of two minibatches.
  std::uint64_t weights_hash = 0;
  /// With keep_weights: of all layers in order.
  std::vector<float> parameters;
};

struct RunResult {
  Timeline timeline;  ///< `peak` holds the most that was really allocated per device.
  Outcome outcome;
  std::vector<TrainedJob> jobs;
};

/// Trains the workload for real: every device of the cluster is a thread with a memory budget of
/// its own, copies between host and device memory are memory copies paced by the cluster's links.
///
/// `program` is the lowered plan whose partition is `first_layers` per job. Throws Error on what
/// cannot fit, on missing data, and on the first failure of a lane that is not one job's alone.
RunResult run(const Workload& workload, const Cluster& cluster, const Program& program,
              const std::vector<std::vector<int>>& first_layers, Policy& policy,
              const RunOptions& options);

}  // namespace shardlab
