#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint.h"
#include "core/cluster.h"
#include "core/timeline.h"
#include "exec/parts.h"
#include "exec/watch.h"
#include "exec/work.h"
#include "sched/driver.h"
#include "sched/policy.h"
#include "sched/program.h"
#include "sched/tuner.h"

namespace shardlab {

/// Where a run stands. Called under the scheduler's lock: return quickly.
struct RunProgress {
  Instant now{};
  std::size_t jobs_ended = 0;
  JobId job{};                                ///< Whose minibatch just ended, or which ended.
  std::int64_t minibatch = 0;                 ///< How many the job has completed.
  std::optional<double> loss = std::nullopt;  ///< Of the last of them, where there is one.
  bool job_ended = false;
  std::string reason;  ///< Of a job that was stopped, in the minibatch after those.
  bool tuned = false;  ///< It was the tuner that stopped it, after those.
};

struct RunOptions {
  std::function<void(const RunProgress&)> progress;
  /// Set, for example by Ctrl-C: the run ends cleanly; with `save` when each job has come to its
  /// next border and is saved.
  const std::atomic<bool>* stop = nullptr;
  bool keep_weights = false;  ///< Also return all final parameters.
  /// If given, stops jobs early. A minibatch's `progress` comes before the tuner hears of it.
  Tuner* tuner = nullptr;
  /// Per job, what it goes on from; null, or none at all: its initial weights. They outlive the
  /// run. Requires Job::done to say the same.
  std::vector<const Checkpoint*> resume;
  /// Called with each job that ends, and at borders as Program::checkpoints says, on a thread of
  /// its own. What it throws becomes a notice, and training goes on.
  std::function<void(JobId, const Checkpoint&)> save;
  /// Called when the tuner has decided something, on the thread of `save`. It must not throw.
  std::function<void()> decided;
  std::function<void()> begun;  ///< Called when nothing was refused and before anything runs.
  std::function<void(const std::string&)> notice;  ///< What went wrong. On any thread.
  /// A unit or copy that takes longer than this, and so many times its estimate, has its device
  /// taken out of the run; 0: never.
  Duration watch = Watch{}.least;
  double watch_times = Watch{}.times;
};

struct TrainedJob {
  std::vector<double> losses;  ///< Per complete minibatch; none of an emulated run.
  /// xxHash64 of parameters and state in the order of the layers; 0 if the job neither completed
  /// nor was stopped by its tuner, as host memory may then hold shards of two minibatches.
  std::uint64_t weights_hash = 0;
  /// With keep_weights: of all layers in order.
  std::vector<float> parameters;
  /// Why RunOptions::save failed on what it ended with; empty: it did not, or was not called.
  std::string unsaved;
};

struct RunResult {
  /// `peak` holds per device the most that was really allocated, or of emulated ones reserved.
  Timeline timeline;
  Outcome outcome;
  std::vector<TrainedJob> jobs;
  std::vector<DeviceId> lost;  ///< Devices that were taken out.
};

/// Throws Error on what cannot fit, and on links that cannot be paced.
void refuse_what_cannot_run(const Program& program, const Cluster& cluster);

/// Of a run: notes the loss of every minibatch and tells how the run goes.
class Observer {
 public:
  /// Requires: both outlive it.
  Observer(const Program& program, const RunOptions& options);

  /// A unit has run. Called under the scheduler's lock.
  void operator()(const UnitRun& run, const Work::Pass& pass, Instant now);
  /// The job ends for that reason, in the minibatch after those complete. Called under the same
  /// lock.
  void failed(JobId job, const std::string& reason, Instant now);
  /// A tuner stopped the job after so many minibatches. Called under the same lock.
  void stopped(JobId job, std::int64_t minibatches, const std::string& reason, Instant now);
  /// The job runs again from there. Called under the same lock.
  void went_back(JobId job, std::int64_t minibatches);
  /// Per complete minibatch. Any thread.
  [[nodiscard]] std::vector<double> losses(JobId job) const;

 private:
  struct Minibatch {
    std::size_t units = 0;       ///< Done.
    std::vector<double> losses;  ///< Per microbatch; empty before the first.
  };
  struct Job {
    Parts parts;
    std::int64_t complete = 0;        ///< Minibatches.
    std::deque<Minibatch> under_way;  ///< Those after; tracks may be in different ones.
    std::optional<double> loss;       ///< Of the last complete one.
    std::vector<double> losses;
  };

  void count(const UnitRun& run, const Work::Pass& pass);
  [[nodiscard]] bool ran_whole(JobId job) const;

  const Program& program_;
  const RunOptions& options_;
  std::vector<Job> jobs_;
  std::size_t ended_ = 0;
  mutable std::mutex mutex_;  ///< Of the losses: checkpoints are written beside the lanes.
};

/// Runs `program` to its end on the wall's clock, with threads for the lanes and copy engines of
/// `cluster`; `work` is what they do. Of jobs it returns the losses only. Throws Error on the first
/// failure that is neither one job's nor one device's alone. Requires what refuse_what_cannot_run()
/// lets pass. Where a thread of a lost device never ends, `work` stays for ever.
RunResult execute(const Program& program, const Cluster& cluster, Policy& policy,
                  std::shared_ptr<Work> work, Observer& observer, const RunOptions& options);

}  // namespace shardlab
