#pragma once

#include "policies/homes.h"
#include "policies/patience.h"
#include "sched/candidate_index.h"

namespace shardlab {

/// LRTF with stickiness s: a device goes on with the job that it ran last until that is s
/// minibatches of work behind the leader, the job with the longest remaining time that is ready. So
/// its shards are still there when they are read again: what fits stays, changed or not, until
/// another device asks for it. s = 0 is LRTF but for ties.
/// Source: own; measured against LRTF in docs/design.md ("Policies").
class Sticky final : public Policy {
 public:
  Sticky(std::size_t tracks, double s) : index_(tracks), patience_(tracks), s_(s) {}

  void begin(const StateView& view) override;
  void ready(const Candidate& unit) override;
  void gone(TrackId track) override;
  TrackId pick(const DeviceView& device) override;
  [[nodiscard]] bool lookahead() const override { return true; }
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const override {
    return homes_.keeps(job, device);
  }

 private:
  CandidateIndex index_;
  Homes homes_;
  Patience patience_;  ///< s minibatches, in ns.
  double s_;
};

}  // namespace shardlab
