#pragma once

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/workload.h"
#include "sched/tuner.h"

namespace shardlab {

/// Every job stops after the minibatches that its workload gives (Job::stop_after). Policies do not
/// know that beforehand, as they would not where somebody watches losses.
class StopAfter final : public Tuner {
 public:
  /// Requires: `workload` outlives it.
  explicit StopAfter(const Workload& workload) : workload_(workload) {}

  [[nodiscard]] std::int64_t goal(JobId job) const override {
    const Job& given = workload_.jobs[index(job)];
    return given.stop_after > 0 ? given.stop_after : given.minibatches;
  }
  void reached(JobId job, std::int64_t minibatches) override {
    verdicts_.push_back({job, false,
                         fmt::format("stopped after {} minibatch{}, as its stop_after says",
                                     minibatches, minibatches == 1 ? "" : "es")});
  }
  void ended(JobId) override {}
  std::vector<Verdict> decide() override { return std::exchange(verdicts_, {}); }

 private:
  const Workload& workload_;
  std::vector<Verdict> verdicts_;
};

}  // namespace shardlab
