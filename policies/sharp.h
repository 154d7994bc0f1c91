#pragma once

#include <vector>

#include "policies/homes.h"
#include "policies/level_hold.h"
#include "policies/patience.h"

namespace shardlab {

/// SHARP's successor to LRTF: the longest remaining time goes first, but
///  1. a device goes on with the job that it ran last until that is s minibatches of work behind
///     the leader (see sticky.h), s = sqrt(n c / 2): n minibatches of that job are a device's share
///     of all work, and moving what a device holds of it there and back takes c of them. Moves then
///     take n c / s, and ends that differ by s leave about 2 s idle: as much. s = 0 where nothing
///     is lost by moving: each unit is as long as its copies, and they are hidden behind it;
///  2. loads that nothing hides, of what a device cannot hold of a job, count as remaining time;
///  3. what it changed stays there, if its job fits and write-backs would take most of the time;
///  4. a device claims one unit ahead, however many slots there are, so that others find work; and
///     only while a unit computes there, so that it is known who will be ready in time (completion
///     lookahead); nothing where copies take no time;
///  5. a slow device leaves a unit to a faster one rather than delay the end (see level_hold.h).
/// Source: own; 1 is the economic order quantity of Harris (1913).
class Sharp final : public Policy {
 public:
  explicit Sharp(std::size_t tracks) : index_(tracks), patience_(tracks) {}

  void begin(const StateView& view) override;
  void ready(const Candidate& unit) override;
  void gone(TrackId track) override;
  TrackId pick(const DeviceView& device) override;
  void completed(JobId job) override { levels_.ended(job); }
  void lost(JobId job) override { levels_.ended(job); }
  [[nodiscard]] bool lookahead() const override { return prefetches_; }
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const override {
    return keeps_ && homes_.keeps(job, device);
  }

 private:
  /// What remains of the unit's track, in ns.
  [[nodiscard]] std::int64_t key(const Candidate& unit) const {
    const std::int64_t left = unit.remaining.count();
    return left + static_cast<std::int64_t>(static_cast<double>(left) * again_[index(unit.track)]);
  }
  [[nodiscard]] bool may_prefetch(DeviceId device) const;

  const StateView* view_ = nullptr;
  CandidateIndex index_;
  std::vector<double> again_;  ///< Per track: loads that come again, over computing.
  Homes homes_;
  Patience patience_;  ///< s minibatches, in ns.
  LevelHold levels_;
  bool prefetches_ = true, keeps_ = false;
};

}  // namespace shardlab
