#pragma once

#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "core/plan.h"
#include "core/timeline.h"
#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

/// Follows an order: each device claims what the order has for it, in that order, and nothing else.
/// With times it claims nothing sooner, and a simulation of the plan that the order was taken from
/// is the same again, to the nanosecond: what stays on devices and what goes first is the order's
/// too, and admission the Driver's as it was then. Without times jobs are admitted in the order of
/// their first claims: others could take the place that those need. Where something happens that no
/// order foresees (a job or a device fails, a unit is tried again, the run is told to stop), the
/// rest runs without times by longest remaining time. Source: own.
class Replay final : public Policy {
 public:
  /// Without times, claims that were given back are left out, and the rest is claimed as early as
  /// the order allows: other durations keep the decisions.
  enum class Times : bool { kIgnored, kKept };

  /// Requires: an order of the program's units on so many devices, see refuse_wrong_order().
  Replay(std::span<const OrderedUnit> order, const Program& program, std::size_t devices,
         Times times);
  /// With all that the plan has beside the claims.
  Replay(const Plan& plan, const Program& program, std::size_t devices, Times times);

  void ready(const Candidate& unit) override;
  void gone(TrackId track) override;
  TrackId pick(const DeviceView& device) override;
  void begin(const StateView& view) override { view_ = &view; }
  [[nodiscard]] bool keeps(JobId job, DeviceId device) const override;
  bool admits(JobId job) override;
  void lost(JobId) override { disturbed_ = times_ == Times::kIgnored; }
  void device_lost(DeviceId) override { disturbed_ = times_ == Times::kIgnored; }
  DeviceId place(JobId job) override { return places_ ? first_device_.at(index(job)) : kNoDevice; }
  [[nodiscard]] bool evicts() const override { return !evictions_.empty(); }
  std::int64_t worth(JobId job, ItemIndex item, DeviceId device) override;
  void evicted(JobId job, ItemIndex item, DeviceId device) override;
  [[nodiscard]] bool lookahead() const override { return true; }
  [[nodiscard]] bool patient(TrackId track) const override { return !gives_back_[index(track)]; }
  [[nodiscard]] Instant awaits(Instant now) const override;
  /// The row that is never claimed; if its job finds no room, how much is missing.
  [[nodiscard]] std::string stuck() const override;

 private:
  void note_first_claims(std::span<const OrderedUnit> order);
  TrackId pick_longest(DeviceId device);

  struct Place {
    TrackId track{};
    std::size_t number = 0;  ///< Among the units of its track.
    std::size_t row = 0;     ///< Of the order.
    OrderedUnit claim;
  };
  struct Device;
  void pass_over_done(Device& device) const;

  /// A claim that was made, of which the end is not known.
  struct Open {
    TrackId track{};
    JobId job{};
    std::size_t number = 0;
    bool kept = false;
  };
  struct Device {
    std::vector<Place> order;
    std::size_t next = 0;
    mutable std::vector<Open> open;  ///< Where anything is kept, until keeps() is asked.
  };
  const StateView* view_ = nullptr;
  Times times_;
  bool keeps_ = false;  ///< Anything.
  std::vector<Device> devices_;
  std::vector<Candidate> ready_;  ///< Per track; `present_` says whether it is one.
  std::vector<bool> present_;
  std::vector<std::size_t> picked_;     ///< Per track: one past the last number.
  bool disturbed_ = false;              ///< The order cannot be followed any further.
  std::vector<bool> gives_back_;        ///< Per track: what was claimed of it last.
  std::vector<DeviceId> first_device_;  ///< Per job.
  bool places_ = true;
  std::vector<JobId> by_first_claim_;  ///< Without times, if the order has some.
  std::size_t next_admitted_ = 0;      ///< Place in it: all before were.
  /// Per copy: its places among all evictions, the next one last.
  std::map<std::tuple<DeviceId, JobId, ItemIndex>, std::vector<std::int64_t>> evictions_;
};

/// What the devices claimed, in the order of claims; those that were given back with the rest.
std::vector<OrderedUnit> order_of(const Timeline& timeline);

/// The plan that does again what one under another policy did.
Plan replaying(Plan plan, const Timeline& timeline);

}  // namespace shardlab
