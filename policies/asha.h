#pragma once

#include <cstddef>
#include <set>
#include <utility>
#include <vector>

#include "policies/losses.h"
#include "policies/rungs.h"
#include "sched/tuner.h"

namespace shardlab {

/// Asynchronous successive halving: a job at a rung goes on as soon as it is among the best 1/eta
/// (rounded down) of those who have come there so far; nobody waits for a rung to fill. The others
/// are paused, as later results may still promote them. When nobody can come to a rung any more,
/// who waits there stops; if none was promoted by then, the best goes on. Lowest loss is best; ties
/// go to the lower job.
///
/// Source: Li et al., "A system for massively parallel hyperparameter tuning", arXiv 1810.05934,
/// Algorithm 2. There, new configurations are drawn without end; here, the workload has so many
/// jobs, so rungs end.
class Asha final : public Tuner {
 public:
  Asha(std::size_t jobs, Rungs rungs, std::int64_t eta, LossOf losses);

  [[nodiscard]] std::int64_t goal(JobId job) const override {
    return rungs_.goal(jobs_[index(job)].rung);
  }
  void reached(JobId job, std::int64_t minibatches) override;
  void ended(JobId job) override;
  std::vector<Verdict> decide() override;

 private:
  using Result = std::pair<double, JobId>;
  struct Member {
    enum class State : std::uint8_t { kOnItsWay, kWaits, kOut } state = State::kOnItsWay;
    std::size_t rung = 0;  ///< To which it is on its way, or where it waits.
  };
  struct Rung {
    std::size_t on_their_way = 0;
    bool promoted = false;       ///< Anyone.
    std::set<Result> top, rest;  ///< Those who came: the best 1/eta, and the others.
  };
  struct Entry {
    std::size_t rung = 0;
    Result result;
  };

  void enter(std::size_t rung, const Result& result);
  void promote(JobId job);
  void stop(JobId job);
  void promote_entries();
  void close_rungs();

  Rungs rungs_;
  std::size_t eta_;
  LossOf losses_;
  std::vector<Member> jobs_;
  std::vector<Rung> state_;     ///< Per rung, and one for those beyond.
  std::vector<Entry> entries_;  ///< Into a rung's top since the last decision.
  std::size_t closed_ = 0;      ///< To rungs below nobody comes any more.
  std::vector<Verdict> verdicts_;
};

}  // namespace shardlab
