#pragma once

#include <span>
#include <vector>

#include "core/plan.h"
#include "core/timeline.h"
#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

/// Follows an order: each device claims what the order has for it, in that order, and nothing else.
/// With times it claims nothing sooner, and a simulation of the plan that the order was taken from
/// is the same again, to the nanosecond.
class Replay final : public Policy {
 public:
  /// Without times, claims that were given back are left out, and the rest is claimed as early as
  /// the order allows: other durations keep the decisions.
  enum class Times : bool { kIgnored, kKept };

  /// Requires: an order of the program's units on so many devices, see refuse_wrong_order().
  Replay(std::span<const OrderedUnit> order, const Program& program, std::size_t devices,
         Times times);

  void ready(const Candidate& unit) override;
  void gone(TrackId track) override;
  TrackId pick(const DeviceView& device) override;
  void begin(const StateView& view) override { view_ = &view; }
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const override;
  DeviceId place(JobId job) override { return first_device_.at(index(job)); }
  [[nodiscard]] bool lookahead() const override { return true; }
  [[nodiscard]] bool patient(TrackId track) const override { return !gives_back_[index(track)]; }
  [[nodiscard]] Instant awaits(Instant now) const override;

 private:
  void note_kept(const OrderedUnit& claim, const Program& program);

  struct Place {
    TrackId track{};
    OrderedUnit claim;
  };
  struct Device {
    std::vector<Place> order;
    std::size_t next = 0;
  };
  const StateView* view_ = nullptr;
  std::vector<std::vector<bool>> kept_;  ///< Per job of one track: unit by unit, if any was.
  Times times_;
  std::vector<Device> devices_;
  std::vector<Candidate> ready_;  ///< Per track; `present_` says whether it is one.
  std::vector<bool> present_;
  std::vector<bool> gives_back_;        ///< Per track: what was claimed of it last.
  std::vector<DeviceId> first_device_;  ///< Per job.
};

/// What the devices claimed, in the order of claims; those that were given back with the rest.
std::vector<OrderedUnit> order_of(const Timeline& timeline);

}  // namespace shardlab
