#include "exec/execution.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "core/error.h"
#include "exec/runtime.h"
#include "sched/limits.h"

namespace shardlab {
namespace {

Timeline empty_timeline(const Program& program, const Cluster& cluster) {
  Timeline timeline;
  timeline.source = "measured";
  for (const JobProgram& job : program.jobs) timeline.jobs.push_back(job.name);
  for (const DeviceSpec& device : cluster.devices) {
    timeline.devices.push_back(device.name);
    timeline.budget.push_back(device.memory);
  }
  return timeline;
}

/// Tells the observer which jobs a tuner stops.
class WatchedTuner final : public Tuner {
 public:
  WatchedTuner(Tuner& tuner, Observer& observer, Runtime& runtime, const Program& program,
               const RunOptions& options)
      : tuner_(tuner),
        observer_(observer),
        runtime_(runtime),
        decided_(options.decided),
        minibatches_(program.jobs.size()) {
    for (std::size_t j = 0; j < minibatches_.size(); ++j) minibatches_[j] = program.jobs[j].done;
  }

  [[nodiscard]] std::int64_t goal(JobId job) const override { return tuner_.goal(job); }
  [[nodiscard]] bool waits(JobId job) const override { return tuner_.waits(job); }
  void reached(JobId job, std::int64_t minibatches) override {
    minibatches_[index(job)] = minibatches;
    tuner_.reached(job, minibatches);
  }
  void ended(JobId job) override { tuner_.ended(job); }
  std::vector<Verdict> decide() override {
    auto verdicts = tuner_.decide();
    for (const Verdict& verdict : verdicts) {
      if (verdict.goes_on) continue;
      observer_.stopped(verdict.job, minibatches_[index(verdict.job)], verdict.reason,
                        runtime_.now());
    }
    if (!verdicts.empty() && decided_) runtime_.save_soon(decided_);
    return verdicts;
  }

 private:
  Tuner& tuner_;
  Observer& observer_;
  Runtime& runtime_;
  const std::function<void()>& decided_;
  std::vector<std::int64_t> minibatches_;  ///< Per job, when it last asked.
};

/// The threads of a run and what they work on, which are let go of together. A thread of a lost
/// device may never end; then both stay for ever.
class Lanes {
 public:
  /// `waits` is told which jobs are still being saved, if they take long when all else has ended.
  Lanes(const Cluster& cluster, std::shared_ptr<Work> work,
        std::function<void(const std::vector<JobId>&)> waits)
      : cluster_(cluster), waits_(std::move(waits)), parts_(std::make_unique<Parts>()) {
    parts_->work = std::move(work);
  }
  ~Lanes() { end(); }
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  Runtime& start(Runtime::Observer observer, Watch watch) {
    parts_->runtime =
        std::make_unique<Runtime>(cluster_, *parts_->work, std::move(observer), std::move(watch));
    return *parts_->runtime;
  }
  [[nodiscard]] Instant now() const { return parts_->runtime->now(); }
  void end() {
    constexpr Duration kGrace = std::chrono::seconds(1);
    if (parts_ && parts_->runtime) {
      const std::vector<JobId> saving = parts_->runtime->still_saving(kGrace);
      if (!saving.empty()) waits_(saving);
      if (!parts_->runtime->close(kGrace)) (void)parts_.release();
    }
    parts_.reset();
  }

 private:
  struct Parts {
    std::shared_ptr<Work> work;
    std::unique_ptr<Runtime> runtime;
  };
  const Cluster& cluster_;
  std::function<void(const std::vector<JobId>&)> waits_;
  std::unique_ptr<Parts> parts_;
};

std::function<void(const std::vector<JobId>&)> waits_for_disk(const Program& program,
                                                              const RunOptions& options) {
  return [&](const std::vector<JobId>& jobs) {
    if (!options.notice) return;
    std::string names;
    for (const JobId job : jobs)
      names += (names.empty() ? "" : ", ") + program.jobs[index(job)].name;
    options.notice("waiting for the disk: " + names + " still being written");
  };
}

Runtime::Observer observer_of(const Program& program, const Cluster& cluster,
                              const RunOptions& options, Observer& observer, const Lanes& lanes,
                              std::vector<DeviceId>& lost) {
  Runtime::Observer all;
  all.unit = [&](const UnitRun& run, const Work::Pass& pass) { observer(run, pass, lanes.now()); };
  all.stopped = [&](JobId job, const std::string& reason) {
    observer.failed(job, reason, lanes.now());
  };
  all.went_back = [&](JobId job, std::int64_t minibatches) {
    observer.went_back(job, minibatches);
  };
  all.lost = [&](DeviceId device, const std::string& reason) {
    lost.push_back(device);
    if (!options.notice) return;
    options.notice(cluster.devices[index(device)].name + " is taken out of the run: " + reason);
  };
  all.not_kept = [&](JobId job, std::int64_t minibatches, const std::string& reason) {
    if (!options.notice) return;
    options.notice(program.jobs[index(job)].name + ": no snapshot of minibatch " +
                   std::to_string(minibatches) + ", training goes on: " + reason);
  };
  all.stopping = [&] {
    if (!options.notice) return;
    options.notice(
        "stopping: each job comes to the end of its minibatch and is written to disk; another "
        "Ctrl-C ends at once, at the checkpoints before");
  };
  return all;
}

}  // namespace

void refuse_what_cannot_run(const Program& program, const Cluster& cluster) {
  refuse_what_cannot_fit(program, cluster);
  refuse_shared_pacing(cluster);
  if (cluster.disk) {
    throw Error("disk: a disk below the host's memory is simulated only; take the key out");
  }
  for (const DeviceSpec& device : cluster.devices) {
    if (device.leaves.empty()) continue;
    throw Error("device " + device.name +
                ": leaves: only simulated devices leave and return by plan; take the key out");
  }
}

RunResult execute(const Program& program, const Cluster& cluster, Policy& policy,
                  std::shared_ptr<Work> work, Observer& observer, const RunOptions& options) {
  RunResult result{empty_timeline(program, cluster), {}, {}, {}};
  Program driven = program;  // In which the Driver binds anew when a device is lost.
  {
    Lanes lanes(cluster, std::move(work), waits_for_disk(program, options));
    Runtime& runtime = lanes.start(
        observer_of(program, cluster, options, observer, lanes, result.lost),
        {options.watch,
         options.watch_times,
         [&](const UnitRun& run) { return expected_on(program, run.job, run.unit, run.device); },
         {}});
    std::optional<WatchedTuner> tuner;
    if (options.tuner != nullptr) {
      tuner.emplace(*options.tuner, observer, runtime, program, options);
    }
    Driver driver(driven, cluster, policy, runtime, &result.timeline, /*tracks_memory=*/true,
                  tuner ? &*tuner : nullptr);
    driver.may_lose_devices(driven);
    result.outcome = runtime.run(driver, options.stop, static_cast<bool>(options.save));
    lanes.end();
  }
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    result.jobs.emplace_back().losses = observer.losses(job_id(j));
  }
  return result;
}

}  // namespace shardlab
