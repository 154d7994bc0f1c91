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
    Driver driver(program, cluster, policy, runtime, &result.timeline, /*tracks_memory=*/true);
    result.outcome = runtime.run(driver, options.stop);
  }  // All lanes have ended.
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    result.jobs.emplace_back().losses = observer.losses(job_id(j));
  }
  return result;
}

}  // namespace shardlab
