// What ends alone is told and taken in by a shorter way (Backend::next_alone): it must lead to the
// same end as when each instant is told whole, with a timeline and without one.
#include <span>
#include <string>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sched/driver.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/scenario.h"

namespace shardlab {
namespace {

/// A simulator that tells whole instants only.
class Whole final : public Backend {
 public:
  explicit Whole(Backend& backend) : backend_(backend) {}

  [[nodiscard]] Instant now() const override { return backend_.now(); }
  void start_unit(const UnitRun& run) override { backend_.start_unit(run); }
  void start_link(const Transfer& transfer) override { backend_.start_link(transfer); }
  void start_lane_copy(const Transfer& transfer) override { backend_.start_lane_copy(transfer); }
  void wake_at(Instant instant) override { backend_.wake_at(instant); }
  [[nodiscard]] bool keeps_items() const override { return backend_.keeps_items(); }
  void dropped(JobId job, ItemIndex item, DeviceId from) override {
    backend_.dropped(job, item, from);
  }
  std::span<const Event> wait() override { return backend_.wait(); }

 private:
  Backend& backend_;
};

/// A third of them behind switches, a few of their devices not.
scenarios::Lowered draw(std::uint64_t seed, const std::string& policy) {
  scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, policy));
  if (seed % 3 != 0) return drawn;
  const double rate = 1e9 / static_cast<double>(1 + seed % 5);
  drawn.cluster.switches.push_back({"root", rate, rate, seed % 2 == 0 ? 0 : 1.5 * rate, kNoSwitch});
  drawn.cluster.switches.push_back({"below", rate / 2, rate / 3, 0, 0});
  for (std::size_t d = 0; d < drawn.cluster.devices.size(); ++d) {
    drawn.cluster.devices[d].parent = d == 2 ? kNoSwitch : static_cast<int>(d % 2);
  }
  return drawn;
}

Outcome run(const scenarios::Lowered& drawn, const std::string& name, bool whole,
            Timeline* timeline) {
  const auto policy = make_policy(name, track_count(drawn.program), 1);
  EstimatedCosts costs(drawn.program);
  Simulator simulator(drawn.program, drawn.cluster, costs);
  Whole instants(simulator);
  Backend& backend = whole ? static_cast<Backend&>(instants) : simulator;
  Driver driver(drawn.program, drawn.cluster, *policy, backend, timeline, true);
  return drive(driver, backend);
}

void expect_equal(const Outcome& one, const Outcome& other) {
  EXPECT_EQ(one.makespan, other.makespan);
  EXPECT_EQ(one.units, other.units);
  EXPECT_EQ(one.occupied, other.occupied);
  EXPECT_EQ(one.busy, other.busy);
  EXPECT_EQ(one.recompute, other.recompute);
  EXPECT_EQ(one.peak, other.peak);
  EXPECT_EQ(one.host_peak, other.host_peak);
  EXPECT_EQ(one.promoted, other.promoted);
  EXPECT_EQ(one.demoted, other.demoted);
  EXPECT_EQ(one.between_devices, other.between_devices);
  for (std::size_t j = 0; j < one.jobs.size(); ++j) EXPECT_EQ(one.jobs[j].at, other.jobs[j].at);
}

TEST(LoneEvents, LeadToTheEndThatWholeInstantsLeadTo) {
  for (const std::string policy : {"lrtf", "random", "sharp"}) {
    for (std::uint64_t seed = 0; seed < instances::seeds(400); ++seed) {
      SCOPED_TRACE(policy + " seed " + std::to_string(seed));
      const scenarios::Lowered drawn = draw(seed, policy);
      const Outcome whole = run(drawn, policy, true, nullptr);
      expect_equal(run(drawn, policy, false, nullptr), whole);
      Timeline timeline;
      expect_equal(run(drawn, policy, true, &timeline), whole);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace shardlab
