#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "policies/losses.h"
#include "policies/successive_halving.h"
#include "sched/tuner.h"

namespace shardlab {

/// One bracket: so many jobs, and how they are halved.
struct Bracket {
  std::int64_t jobs = 0;
  Rungs rungs;
};

/// With R = most and s_max = floor(log_eta R), for s = s_max ... 0: ceil((s_max + 1) eta^s /
/// (s + 1)) jobs, the first rung after R eta^-s minibatches (rounded down).
/// Source: Li et al., "Hyperband: a novel bandit-based approach to hyperparameter optimization",
/// arXiv 1603.06560, Algorithm 1.
std::vector<Bracket> hyperband_brackets(std::int64_t eta, std::int64_t most);

/// Successive halving in several brackets, which trade the number of jobs for the minibatches that
/// each gets before it is judged. Jobs are dealt to the brackets in their order, the bracket that
/// stops earliest first; when all are full, to another round of brackets, and the last may stay
/// incomplete. Brackets run side by side and judge their own jobs only.
/// Source: see hyperband_brackets(), where brackets run one after another.
class Hyperband final : public Tuner {
 public:
  Hyperband(std::size_t jobs, std::int64_t eta, std::int64_t most, const LossOf& losses);

  [[nodiscard]] std::int64_t goal(JobId job) const override { return of(job).goal(job); }
  void reached(JobId job, std::int64_t minibatches) override;
  void ended(JobId job) override;
  std::vector<Verdict> decide() override;

 private:
  [[nodiscard]] const SuccessiveHalving& of(JobId job) const {
    return brackets_[bracket_of_[index(job)]];
  }
  std::vector<SuccessiveHalving> brackets_;
  std::vector<std::size_t> bracket_of_;  ///< Per job.
  std::vector<std::size_t> changed_;     ///< Brackets, since the last decision.
};

}  // namespace shardlab
