// Snapshots at borders of minibatches, on the simulator.
#include <array>
#include <map>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sched/driver.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/scenario.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

/// A simulator that notes when what was kept.
class Watched final : public Backend {
 public:
  explicit Watched(Backend& backend) : backend_(backend) {}

  [[nodiscard]] Instant now() const override { return backend_.now(); }
  void start_unit(const UnitRun& run) override { backend_.start_unit(run); }
  void start_link(const Transfer& transfer) override { backend_.start_link(transfer); }
  void start_lane_copy(const Transfer& transfer) override { backend_.start_lane_copy(transfer); }
  void wake_at(Instant instant) override { backend_.wake_at(instant); }
  void dropped(JobId job, ItemIndex item, DeviceId from) override {
    backend_.dropped(job, item, from);
  }
  std::span<const Event> wait() override { return backend_.wait(); }
  bool snapshot(JobId job, std::int64_t minibatches) override {
    kept.push_back({job, minibatches, now()});
    return backend_.snapshot(job, minibatches);
  }
  void settled(JobId job, std::int64_t) override { done.push_back(job); }

  struct Kept {
    JobId job{};
    std::int64_t minibatches = 0;
    Instant at{};
  };
  std::vector<Kept> kept;
  std::vector<JobId> done;

 private:
  Backend& backend_;
};

struct Ran {
  Timeline timeline;
  Outcome outcome;
  std::vector<Watched::Kept> kept;
  std::vector<JobId> done;
};

Ran run(const Program& program, const Cluster& cluster, const std::string& policy_name) {
  Ran made;
  made.timeline.devices.resize(cluster.devices.size());
  EstimatedCosts costs(program);
  Simulator simulator(program, cluster, costs);
  Watched watched(simulator);
  const auto policy = make_policy(policy_name, program, 1);
  Driver driver(program, cluster, *policy, watched, &made.timeline, true);
  made.outcome = drive(driver, watched);
  made.kept = watched.kept;
  made.done = watched.done;
  return made;
}

/// Nothing of a later minibatch had begun when a job was kept, and all of the earlier was done.
void expect_borders(const Ran& ran, const Program& program) {
  for (const Watched::Kept& kept : ran.kept) {
    std::int64_t before = 0;
    for (const UnitSpan& span : ran.timeline.units) {
      if (span.job != kept.job) continue;
      ASSERT_TRUE(span.minibatch < kept.minibatches ? span.to <= kept.at : span.from >= kept.at);
      before += span.minibatch < kept.minibatches ? 1 : 0;
    }
    const JobProgram& job = program.jobs[index(kept.job)];
    ASSERT_EQ(before, kept.minibatches * static_cast<std::int64_t>(job.units.size()));
  }
}

TEST(Snapshots, AreTakenAtEveryBorderUnderAllStrategiesAndPolicies) {
  const auto policies = known_policies();
  std::size_t kept = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const std::string policy(policies[seed % policies.size()].name);
    auto [program, cluster] = scenarios::lower(scenarios::draw(seed, policy));
    program.checkpoints.minibatches = 1;
    const Ran ran = run(program, cluster, policy);
    expect_valid(ran.timeline, program);
    expect_borders(ran, program);
    kept += ran.kept.size();
    EXPECT_EQ(ran.done.size(), program.jobs.size());
    std::vector<std::int64_t> borders(program.jobs.size());
    for (const Watched::Kept& each : ran.kept) {
      EXPECT_EQ(each.minibatches, ++borders[index(each.job)]);
    }
    for (std::size_t j = 0; j < borders.size(); ++j) {
      EXPECT_EQ(borders[j], program.jobs[j].minibatches - 1) << "the last is the job's end";
    }
  }
  EXPECT_GT(kept, 300U);
}

TEST(Snapshots, ByTimeAreTakenAtTheNextBorder) {
  const auto policies = known_policies();
  std::size_t kept = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(300); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const std::string policy(policies[seed % policies.size()].name);
    auto [program, cluster] = scenarios::lower(scenarios::draw(seed, policy));
    program.checkpoints.every = Duration{1 + static_cast<int>(seed % 50)};
    const Ran ran = run(program, cluster, policy);
    expect_valid(ran.timeline, program);
    expect_borders(ran, program);
    kept += ran.kept.size();
  }
  EXPECT_GT(kept, 100U);
}

// One job of two units a minibatch on one device, without memory:
//   FBFB|FBFB|FB   kept at each |, which takes no time
TEST(Snapshots, TakeNoTimeWhereNothingIsToBeWrittenBack) {
  Program program = instances::chains({{1, 1}});
  program.jobs[0].minibatches = 5;
  program.checkpoints.minibatches = 2;
  const Cluster cluster = instances::devices(1);
  EstimatedCosts costs(program);
  Simulator simulator(program, cluster, costs);
  Watched watched(simulator);
  const auto policy = make_policy("fifo", program, 1);
  Driver driver(program, cluster, *policy, watched, nullptr, false);
  EXPECT_EQ(drive(driver, watched).makespan, Instant{Duration{10}});
  ASSERT_EQ(watched.kept.size(), 2U);
  EXPECT_EQ(watched.kept[0].at, Instant{Duration{4}});
  EXPECT_EQ(watched.kept[1].minibatches, 4);
}

TEST(Snapshots, ARunGoesOnAfterTheMinibatchesThatWereDone) {
  Program program = instances::chains({{1, 1}, {3}});
  program.jobs[0].minibatches = 5;
  program.jobs[0].done = 3;
  program.jobs[1].done = 1;
  const Cluster cluster = instances::devices(1);
  EstimatedCosts costs(program);
  const auto policy = make_policy("fifo", program, 1);
  Timeline timeline;
  const Outcome outcome = simulate(program, cluster, *policy, costs, &timeline);
  EXPECT_EQ(outcome.makespan, Instant{Duration{4}});
  ASSERT_EQ(timeline.units.size(), 4U);
  EXPECT_EQ(timeline.units.front().minibatch, 3);
  for (const JobEnd& end : outcome.jobs) EXPECT_TRUE(end.completed);
  EXPECT_EQ(outcome.jobs[0].minibatches, 5);
  EXPECT_EQ(outcome.jobs[1].minibatches, 1);
}

}  // namespace
}  // namespace shardlab
