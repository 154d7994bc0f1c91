#pragma once

#include <set>
#include <utility>
#include <vector>

#include "policies/losses.h"
#include "policies/rungs.h"
#include "sched/tuner.h"

namespace shardlab {

/// Synchronous successive halving: all jobs train to the first rung and wait there for each other.
/// When the last has come (or ended), the best 1/eta of those who came, rounded down but at least
/// one, go on to the next rung and the others stop. Lowest loss is best; ties go to the lower job.
///
/// Source: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
/// optimization", arXiv 1502.07943, with eta in place of 2, as Hyperband has it.
class SuccessiveHalving final : public Tuner {
 public:
  SuccessiveHalving(const std::vector<JobId>& jobs, Rungs rungs, std::int64_t eta, LossOf losses);

  [[nodiscard]] std::int64_t goal(JobId) const override { return rungs_.goal(rung_); }
  void reached(JobId job, std::int64_t minibatches) override;
  void ended(JobId job) override;
  std::vector<Verdict> decide() override { return std::exchange(verdicts_, {}); }

 private:
  void close_if_all_came();

  Rungs rungs_;
  std::int64_t eta_;
  LossOf losses_;
  std::size_t rung_ = 0;  ///< To which all who are left are on their way.
  std::set<JobId> on_their_way_;
  std::vector<std::pair<double, JobId>> results_;  ///< Of those who came.
  std::vector<Verdict> verdicts_;
};

}  // namespace shardlab
