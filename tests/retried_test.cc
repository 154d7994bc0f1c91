// Units that find no memory and are tried again, on the simulator: alone on their device.
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sched/driver.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/scenario.h"

namespace shardlab {
namespace {

/// A simulator some of whose units find no memory at first.
class Scarce final : public Backend {
 public:
  Scarce(Backend& backend, std::uint64_t seed) : backend_(backend), seed_(seed) {}

  [[nodiscard]] Instant now() const override { return backend_.now(); }
  void wake_at(Instant instant) override { backend_.wake_at(instant); }
  void start_lane_copy(const Transfer& transfer) override { backend_.start_lane_copy(transfer); }
  void dropped(JobId job, ItemIndex item, DeviceId from) override {
    backend_.dropped(job, item, from);
  }
  void start_unit(const UnitRun& run) override {
    runs_[run.device] = run;
    if (failed_.contains(key(run))) {
      EXPECT_EQ(failed_.at(key(run)), run.device);
      EXPECT_EQ(coming_[run.device], 0) << "a promotion is still on its way";
      tried_again_.insert(run.device);
    }
    backend_.start_unit(run);
  }
  void start_link(const Transfer& transfer) override {
    if (transfer.direction == Direction::kPromote) {
      EXPECT_FALSE(tried_again_.contains(transfer.device)) << "something comes beside it";
      ++coming_[transfer.device];
      promotions_[transfer.id] = transfer.device;
    }
    backend_.start_link(transfer);
  }
  std::span<const Event> wait() override {
    const auto events = backend_.wait();
    told_.assign(events.begin(), events.end());
    for (Event& event : told_) {
      if (const auto* link = std::get_if<LinkDone>(&event)) {
        const auto found = promotions_.find(link->transfer);
        if (found == promotions_.end()) continue;
        --coming_[found->second];
        promotions_.erase(found);
      } else if (const auto* done = std::get_if<UnitDone>(&event)) {
        tried_again_.erase(done->device);
        const UnitRun& run = runs_.at(done->device);
        if (!fails(run)) continue;
        failed_[key(run)] = run.device;
        overlapped += coming_[run.device] > 0 ? 1 : 0;
        event = UnitRetried{run.device, run.job, run.attempt, false};
      }
    }
    return told_;
  }
  [[nodiscard]] std::int64_t failures() const { return static_cast<std::int64_t>(failed_.size()); }

  int overlapped = 0;  ///< Something was coming when a unit found no memory.

 private:
  using Key = std::tuple<JobId, std::uint32_t, std::int64_t>;
  static Key key(const UnitRun& run) { return {run.job, run.unit, run.minibatch}; }
  [[nodiscard]] bool fails(const UnitRun& run) const {
    const auto at = static_cast<std::uint64_t>(run.minibatch) + 3 * run.unit + 5 * index(run.job);
    return (at + seed_) % 7 == 0 && !failed_.contains(key(run));
  }

  Backend& backend_;
  std::uint64_t seed_;
  std::vector<Event> told_;
  std::map<DeviceId, UnitRun> runs_;
  std::map<Key, DeviceId> failed_;
  std::set<DeviceId> tried_again_;  ///< What runs there now is.
  std::map<TransferId, DeviceId> promotions_;
  std::map<DeviceId, int> coming_;
};

TEST(Retried, UnitsAreTriedAgainAloneAndTheRunComesToItsEnd) {
  const auto policies = known_policies();
  int overlapped = 0;
  std::int64_t failures = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(400); ++seed) {
    const std::string name(policies[seed % policies.size()].name);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", " << name);
    scenarios::Lowered drawn = scenarios::lower(scenarios::draw(seed, name));
    for (DeviceSpec& device : drawn.cluster.devices) device.leaves.clear();
    const auto policy = make_policy(name, track_count(drawn.program), 1);
    EstimatedCosts costs(drawn.program);
    Simulator simulator(drawn.program, drawn.cluster, costs);
    Scarce backend(simulator, seed);
    Driver driver(drawn.program, drawn.cluster, *policy, backend, nullptr, true);
    const Outcome outcome = drive(driver, backend);
    EXPECT_EQ(outcome.redone, backend.failures());
    for (const JobEnd& end : outcome.jobs) EXPECT_TRUE(end.completed) << end.reason;
    if (HasFailure()) return;
    overlapped += backend.overlapped;
    failures += backend.failures();
  }
  EXPECT_GT(failures, 1000);
  EXPECT_GT(overlapped, 100);
}

}  // namespace
}  // namespace shardlab
