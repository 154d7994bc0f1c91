#include "exec/execution.h"

#include <utility>

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
  WatchedTuner(Tuner& tuner, Observer& observer, const Backend& clock, std::size_t jobs)
      : tuner_(tuner), observer_(observer), clock_(clock), minibatches_(jobs) {}

  [[nodiscard]] std::int64_t goal(JobId job) const override { return tuner_.goal(job); }
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
                        clock_.now());
    }
    return verdicts;
  }

 private:
  Tuner& tuner_;
  Observer& observer_;
  const Backend& clock_;
  std::vector<std::int64_t> minibatches_;  ///< Per job, when it last asked.
};

}  // namespace

void refuse_what_cannot_run(const Program& program, const Cluster& cluster) {
  refuse_what_cannot_fit(program, cluster);
  refuse_shared_pacing(cluster);
}

RunResult execute(const Program& program, const Cluster& cluster, Policy& policy, Work& work,
                  Observer& observer, const RunOptions& options) {
  RunResult result{empty_timeline(program, cluster), {}, {}};
  {
    Runtime* clock = nullptr;
    Runtime runtime(cluster, work,
                    [&](const UnitRun& run, const Work::Pass& pass, const std::string& failure) {
                      observer(run, pass, failure, clock->now());
                    });
    clock = &runtime;
    std::optional<WatchedTuner> tuner;
    if (options.tuner != nullptr) {
      tuner.emplace(*options.tuner, observer, runtime, program.jobs.size());
    }
    Driver driver(program, cluster, policy, runtime, &result.timeline, /*tracks_memory=*/true,
                  tuner ? &*tuner : nullptr);
    result.outcome = runtime.run(driver, options.stop);
  }  // All lanes have ended.
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    result.jobs.emplace_back().losses = observer.losses(job_id(j));
  }
  return result;
}

}  // namespace shardlab
