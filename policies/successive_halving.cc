#include "policies/successive_halving.h"

#include <algorithm>

namespace shardlab {

SuccessiveHalving::SuccessiveHalving(const std::vector<JobId>& jobs, Rungs rungs, std::int64_t eta,
                                     LossOf losses)
    : rungs_(std::move(rungs)),
      eta_(eta),
      losses_(std::move(losses)),
      on_their_way_(jobs.begin(), jobs.end()) {}

void SuccessiveHalving::reached(JobId job, std::int64_t minibatches) {
  on_their_way_.erase(job);
  if (rung_ == rungs_.at.size()) {
    verdicts_.push_back({job, false, rungs_.reason(rung_)});
    return;
  }
  results_.emplace_back(losses_(job, minibatches), job);
  close_if_all_came();
}

void SuccessiveHalving::ended(JobId job) {
  if (on_their_way_.erase(job) > 0) close_if_all_came();
}

void SuccessiveHalving::close_if_all_came() {
  if (!on_their_way_.empty() || results_.empty()) return;
  std::sort(results_.begin(), results_.end());
  const std::size_t kept =
      std::max<std::size_t>(1, results_.size() / static_cast<std::size_t>(eta_));
  for (std::size_t i = 0; i < results_.size(); ++i) {
    const JobId job = results_[i].second;
    if (i < kept) {
      on_their_way_.insert(job);
      verdicts_.push_back({job, true, {}});
    } else {
      verdicts_.push_back({job, false, rungs_.reason(rung_)});
    }
  }
  results_.clear();
  ++rung_;
}

}  // namespace shardlab
