#pragma once

#include <cstdint>
#include <optional>

#include "core/cluster.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/workload.h"

namespace shardlab {

/// Simulates plans of one workload, as a search wants it: quickly, and counted. What jobs are left
/// out by early stops is not known to it: all run to their last minibatch.
class Evaluator {
 public:
  /// Requires: cluster and profile to outlive it.
  Evaluator(Workload workload, const Cluster& cluster, const Profile& profile);

  /// Its makespan; nothing when the plan cannot run. Of jobs with many minibatches fewer are
  /// simulated, the same share of each, and the time is in proportion: good for ranking plans.
  [[nodiscard]] std::optional<Duration> makespan(const Plan& plan);
  /// The same with every minibatch.
  [[nodiscard]] std::optional<Duration> whole_makespan(const Plan& plan);

  [[nodiscard]] std::int64_t evaluations() const { return evaluations_; }
  [[nodiscard]] const Workload& workload() const { return whole_; }
  [[nodiscard]] const Cluster& cluster() const { return cluster_; }
  [[nodiscard]] const Profile& profile() const { return profile_; }

 private:
  std::optional<Duration> simulated(const Workload& workload, const Plan& plan);

  Workload whole_, shortened_;
  double share_ = 1;  ///< Of the minibatches, in `shortened_`.
  const Cluster& cluster_;
  const Profile& profile_;
  std::int64_t evaluations_ = 0;
};

}  // namespace shardlab
