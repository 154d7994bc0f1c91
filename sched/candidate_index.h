#pragma once

#include <memory>
#include <vector>

#include "sched/policy.h"
#include "sched/winner_tree.h"

namespace shardlab {

/// Candidates by key, greatest first, ties to the lower job: one winner tree for those that any
/// device may take, and one per device that has bound ones.
class CandidateIndex {
 public:
  explicit CandidateIndex(std::size_t jobs) : any_(jobs), where_(jobs, kNoDevice), jobs_(jobs) {}

  void set(const Candidate& unit, WinnerTree::Key key) {
    where_[index(unit.job)] = unit.bound;
    tree(unit.bound).set(index(unit.job), key);
  }
  void clear(JobId job) { tree(where_[index(job)]).clear(index(job)); }

  /// kNoJob: there is none for the device.
  [[nodiscard]] JobId first(DeviceId device) const {
    const WinnerTree* best = any_.empty() ? nullptr : &any_;
    if (index(device) < bound_.size() && bound_[index(device)] && !bound_[index(device)]->empty()) {
      const WinnerTree& own = *bound_[index(device)];
      const bool wins = best == nullptr || own.top() > best->top() ||
                        (own.top() == best->top() && own.winner() < best->winner());
      if (wins) best = &own;
    }
    return best == nullptr ? kNoJob : job_id(best->winner());
  }

 private:
  WinnerTree& tree(DeviceId bound) {
    if (bound == kNoDevice) return any_;
    if (index(bound) >= bound_.size()) bound_.resize(index(bound) + 1);
    auto& own = bound_[index(bound)];
    if (!own) own = std::make_unique<WinnerTree>(jobs_);
    return *own;
  }

  WinnerTree any_;
  std::vector<std::unique_ptr<WinnerTree>> bound_;
  std::vector<DeviceId> where_;
  std::size_t jobs_;
};

/// A policy that is one number per candidate. `Key` is a callable `(const Candidate&) ->
/// WinnerTree::Key`.
template <typename Key>
class RankedPolicy : public Policy {
 public:
  RankedPolicy(std::size_t jobs, Key key, bool lookahead)
      : index_(jobs), key_(std::move(key)), lookahead_(lookahead) {}

  void ready(const Candidate& unit) final { index_.set(unit, key_(unit)); }
  void gone(JobId job) final { index_.clear(job); }
  JobId pick(const DeviceView& device) final { return index_.first(device.id); }
  [[nodiscard]] bool lookahead() const final { return lookahead_; }

 private:
  CandidateIndex index_;
  Key key_;
  bool lookahead_;
};

}  // namespace shardlab
