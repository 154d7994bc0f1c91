#pragma once

#include <deque>
#include <vector>

#include "core/timeline.h"
#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

/// Takes the decisions of a timeline again: each device claims the units that it ran there, in the
/// same order. Another run of the same plan with other durations so keeps its decisions.
class Replay final : public Policy {
 public:
  /// Requires: a timeline of the program's units.
  Replay(const Timeline& timeline, const Program& program);

  void ready(const Candidate& unit) override;
  void gone(TrackId track) override;
  TrackId pick(const DeviceView& device) override;
  DeviceId place(JobId job) override { return first_device_.at(index(job)); }
  void begin(const StateView& view) override { view_ = &view; }
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const override;
  [[nodiscard]] bool lookahead() const override { return true; }
  [[nodiscard]] bool patient() const override { return true; }

 private:
  void note_kept(const UnitSpan& span, const Program& program);

  struct Place {
    TrackId track{};
    std::int64_t minibatch = 0;
    std::uint32_t unit = 0;
    bool ahead = false;  ///< It was claimed while its predecessor ran.
  };
  const StateView* view_ = nullptr;
  std::vector<std::vector<bool>> kept_;   ///< Per job of one track: unit by unit, if any was.
  std::vector<std::deque<Place>> order_;  ///< Per device, what is still to be claimed.
  std::vector<Candidate> ready_;          ///< Per track; `present_` says whether it is one.
  std::vector<bool> present_;
  std::vector<DeviceId> first_device_;  ///< Per job.
};

}  // namespace shardlab
