#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sched/link.h"
#include "sim/simulator.h"
#include "tests/all_policies.h"
#include "tests/instances.h"
#include "tests/scenario.h"
#include "tests/wrapped_policy.h"

/// No device is idle while a unit could run, unless the policy holds on purpose: with all
/// strategies, links, memories and admissions, on devices of one speed or several.
///
/// To run a unit a device first claims it, and then waits for memory and copies as long as they
/// take. So a device is *idle* while it holds no claim, and a unit *could run* there while it is
/// ready, no device has claimed it and it is bound to no other device. What is true, exactly:
///  1. The Driver. When it has decided, all that was ready before is claimed, or each idle device
///     that may run it was asked in that decision, when it was offered, and the policy said none.
///  2. The policy. Asked so, it says none only for a reason of its own (see reason()); most have
///     none, so with them 1 reads: no device is idle while a unit could run.
namespace shardlab {
namespace {

/// Checks both while a policy decides.
class Watched final : public Wrapped {
 public:
  /// Whether that policy may leave the unit that the device could run.
  using Reason = bool (*)(const Watched& seen, DeviceId device, const Candidate& unit);

  Watched(std::unique_ptr<Policy> policy, Reason reason)
      : Wrapped(std::move(policy)), reason_(reason) {}

  void begin(const StateView& view) override {
    view_ = &view;
    refused_.assign(view.cluster().devices.size(), {-1, -1});
    Wrapped::begin(view);
  }
  void ready(const Candidate& unit) override {
    offered_[unit.track] = {unit, ++calls_};
    Wrapped::ready(unit);
  }
  void gone(TrackId track) override {
    offered_.erase(track);
    Wrapped::gone(track);
  }
  TrackId pick(const DeviceView& device) override {
    const TrackId track = Wrapped::pick(device);
    if (track != kNoTrack) {
      take(device.id, track);
    } else if (!device.buffer) {
      refuse(device.id);
    }
    return track;
  }
  /// Asked after every decision, as it says that it wants to choose again, in a hundred years; but
  /// also before one, when a job arrives. So the last of an instant counts.
  [[nodiscard]] Instant awaits(Instant now) const override {
    if (now != last_) check();
    last_ = now;
    not_asked_ = now > Instant::min() ? who_was_not_asked() : "";
    ++decision_;
    return Instant{kNever.time_since_epoch() / 2};
  }
  /// Of the last instant.
  void check() const { EXPECT_EQ(not_asked_, ""); }

  [[nodiscard]] const StateView& view() const { return *view_; }
  /// The devices that claimed units of the track until now.
  [[nodiscard]] const std::vector<DeviceId>& homes(TrackId track) const {
    static const std::vector<DeviceId> kNone;
    const auto found = homes_.find(track);
    return found == homes_.end() ? kNone : found->second;
  }
  [[nodiscard]] int held() const { return held_; }

 private:
  struct Offer {
    Candidate unit;
    std::int64_t call = 0;
  };
  struct Refusal {
    std::int64_t decision = 0, call = 0;
  };
  static bool may_run(DeviceId device, const Candidate& unit) {
    return !unit.ahead && (unit.bound == kNoDevice || unit.bound == device);
  }

  void take(DeviceId device, TrackId track) {
    offered_.erase(track);
    auto& homes = homes_[track];
    if (std::ranges::find(homes, device) == homes.end()) homes.push_back(device);
  }

  void refuse(DeviceId device) {
    refused_[index(device)] = {decision_, ++calls_};
    for (const auto& [track, offer] : offered_) {
      if (!may_run(device, offer.unit)) continue;
      ++held_;
      EXPECT_TRUE(reason_ != nullptr && reason_(*this, device, offer.unit))
          << "device " << index(device) << " is left idle at "
          << view_->now().time_since_epoch().count() << " beside a unit of track " << index(track);
    }
  }

  [[nodiscard]] std::string who_was_not_asked() const {
    for (std::size_t d = 0; d < refused_.size(); ++d) {
      if (view_->lane(device_id(d)).claims > 0) continue;
      const auto [decision, call] = refused_[d];
      for (const auto& [track, offer] : offered_) {
        if (!may_run(device_id(d), offer.unit)) continue;
        if (decision == decision_ && call > offer.call) continue;
        return "device " + std::to_string(d) + " was not asked at " +
               std::to_string(view_->now().time_since_epoch().count()) + " although track " +
               std::to_string(index(track)) + " is ready";
      }
    }
    return "";
  }

  Reason reason_;
  const StateView* view_ = nullptr;
  std::map<TrackId, Offer> offered_;
  std::map<TrackId, std::vector<DeviceId>> homes_;
  std::vector<Refusal> refused_;  ///< Per device, when it was empty.
  std::int64_t calls_ = 0;
  int held_ = 0;
  mutable std::int64_t decision_ = 0;
  mutable Instant last_ = Instant::min();
  mutable std::string not_asked_;
};

/// When the device should be done with the unit, after all that it holds; `copies`: and those that
/// it lacks.
Instant end_on(const Watched& seen, const Candidate& unit, DeviceId device, bool copies) {
  const StateView& view = seen.view();
  Instant end =
      view.lane(device).free_at + expected_on(view.program(), unit.job, unit.unit, device);
  if (!copies) return end;
  const JobProgram& job = view.program().jobs[index(unit.job)];
  Bytes missing = -view.present(unit.job, unit.unit, device);
  for (const ItemIndex item : job.units[unit.unit].reads) missing += job.items[item].bytes;
  return end + transfer_time(missing, view.cluster().devices[index(device)].link);
}

template <typename Holds>
bool any_other(const Watched& seen, DeviceId device, const Holds& holds) {
  for (std::size_t d = 0; d < seen.view().cluster().devices.size(); ++d) {
    if (device_id(d) != device && holds(device_id(d))) return true;
  }
  return false;
}

/// `hold`, `sharp`: a faster device, busy or not, should be done with the unit earlier.
bool faster_is_earlier(const Watched& seen, DeviceId device, const Candidate& unit) {
  const Program& program = seen.view().program();
  return any_other(seen, device, [&](DeviceId other) {
    return expected_on(program, unit.job, unit.unit, other) <
               expected_on(program, unit.job, unit.unit, device) &&
           end_on(seen, unit, other, false) < end_on(seen, unit, device, false);
  });
}

/// `heft`: another device would end it earlier, with the copies that it lacks.
bool other_is_earlier(const Watched& seen, DeviceId device, const Candidate& unit) {
  return any_other(seen, device, [&](DeviceId other) {
    return end_on(seen, unit, other, true) < end_on(seen, unit, device, true);
  });
}

/// `task_parallel`: the unit is of a job that another device has begun and runs alone to its end.
bool is_of_another_device(const Watched& seen, DeviceId device, const Candidate& unit) {
  const auto& homes = seen.homes(unit.track);
  return unit.bound == kNoDevice && homes.size() == 1 && homes.front() != device;
}

Watched::Reason reason(const std::string& policy) {
  if (policy == "hold" || policy == "sharp") return faster_is_earlier;
  if (policy == "heft") return other_is_earlier;
  if (policy == "task_parallel") return is_of_another_device;
  return nullptr;
}

/// Nothing, or a speed per device in percent.
std::vector<std::int64_t> draw_speeds(std::size_t devices, std::uint64_t seed) {
  std::vector<std::int64_t> speeds;
  instances::Draw draw(seed);
  while (seed % 3 > 0 && speeds.size() < devices) {
    speeds.push_back(draw.of(std::vector<std::int64_t>{200, 100, 100, 50}));
  }
  return speeds;
}

Instant run(const Program& program, const Cluster& cluster, Policy& policy) {
  EstimatedCosts costs(program);
  return simulate(program, cluster, policy, costs, nullptr).makespan;
}

TEST(EveryPolicy, LeavesNoDeviceIdleBesideAUnitThatItCouldRunUnlessItHoldsOnPurpose) {
  for (const std::string& policy : all_policies()) {
    int held = 0;
    for (std::uint64_t seed = 0; seed < instances::seeds(500); ++seed) {
      SCOPED_TRACE(policy + ", seed " + std::to_string(seed));
      scenarios::Scenario drawn = scenarios::draw(seed, policy);
      drawn.speeds = draw_speeds(drawn.spare.size(), seed);
      const auto [program, cluster] = scenarios::lower(drawn);
      Watched watched(make_policy(policy, program, 1), reason(policy));
      const Instant makespan = run(program, cluster, watched);
      watched.check();
      held += watched.held();
      ASSERT_EQ(makespan, run(program, cluster, *make_policy(policy, program, 1)));
      if (HasFailure()) return;
    }
    EXPECT_EQ(held > 0, reason(policy) != nullptr) << policy;
  }
}

}  // namespace
}  // namespace shardlab
