#include "sched/policy.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "policies/lrtf.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "sched/policy_factory.h"
#include "sim/simulator.h"
#include "tests/all_policies.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/scenario.h"
#include "tests/timeline_check.h"
#include "traces/timeline_file.h"

/// What holds for every policy, those from outside the tree included, and what the Driver tells and
/// asks them.
namespace shardlab {
namespace {

Timeline run(const Program& program, const Cluster& cluster, Policy& policy) {
  Timeline timeline;
  EstimatedCosts costs(program);
  simulate(program, cluster, policy, costs, &timeline);
  return timeline;
}

Timeline run(const Program& program, const Cluster& cluster, const std::string& policy) {
  return run(program, cluster, *make_policy(policy, track_count(program), 1));
}

/// The bytes of the file that is written of it, and what stands in no file.
void expect_same(const Timeline& one, const Timeline& other) {
  ASSERT_EQ(timeline_json(one), timeline_json(other));
  ASSERT_EQ(one.evicted, other.evicted);
  const auto samples = [](const MemorySample& sample) {
    return std::tuple(sample.at, sample.device, sample.reserved);
  };
  ASSERT_TRUE(std::ranges::equal(one.memory, other.memory, {}, samples, samples));
  const auto returned = [](const GivenBack& each) {
    return std::tuple(each.job, each.unit, each.minibatch, each.device, each.claim, each.claimed);
  };
  ASSERT_TRUE(std::ranges::equal(one.given_back, other.given_back, {}, returned, returned));
}

// All strategies, links, limits of memory and admission; a second run is the first.
TEST(EveryPolicy, RunsEveryUnitOnceInOrderWithinTheBudgetAndTheSameAgain) {
  for (const std::string& policy : all_policies()) {
    for (std::uint64_t seed = 0; seed < instances::seeds(150); ++seed) {
      SCOPED_TRACE(policy + ", seed " + std::to_string(seed));
      const auto [program, cluster] = scenarios::lower(scenarios::draw(seed, "lrtf"));
      const Timeline timeline = run(program, cluster, policy);
      expect_valid(timeline, program);
      expect_inputs_first(timeline, program);
      for (const JobEnd& end : timeline.ends) ASSERT_TRUE(end.completed);
      expect_same(run(program, cluster, policy), timeline);
      if (testing::Test::HasFailure()) return;
    }
  }
}

/// Most units that a device held at once, by what came of its claims.
std::size_t most_held(const Timeline& timeline, DeviceId device) {
  std::size_t most = 0;
  for (const UnitSpan& at : timeline.units) {
    const auto held = std::ranges::count_if(timeline.units, [&](const UnitSpan& span) {
      return span.device == device && span.claimed <= at.claimed && at.claimed < span.to;
    });
    most = std::max(most, static_cast<std::size_t>(held));
  }
  return most;
}

TEST(EveryPolicy, HoldsOnEachDeviceNoMoreUnitsThanItsOwnSlots) {
  for (const std::string& policy : all_policies()) {
    std::size_t full = 0;  // Devices that held more than the plan says of those without their own.
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      const auto drawn = instances::draw({.jobs = 6, .minibatches = 2, .slots = 2}, seed);
      Cluster cluster = instances::devices(3, kUnlimited, {Duration{5}, 1e9}, 2);
      cluster.devices[0].buffer_slots = 0;
      cluster.devices[2].buffer_slots = 3;
      const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
      const Timeline timeline = run(program, cluster, policy);
      EXPECT_LE(most_held(timeline, device_id(0)), 1u) << policy << ", seed " << seed;
      EXPECT_LE(most_held(timeline, device_id(1)), 2u) << policy << ", seed " << seed;
      EXPECT_LE(most_held(timeline, device_id(2)), 4u) << policy << ", seed " << seed;
      full += most_held(timeline, device_id(2)) > 2 ? 1 : 0;
    }
    if (policy == "lrtf" || policy == "fifo") {
      EXPECT_GT(full, 10u) << policy;
    }
  }
}

// Of all policies that come along only `random` draws.
TEST(EveryPolicy, DrawsFromItsSeedAlone) {
  const Program program = instances::chains(std::vector(8, std::vector<int>{3, 1, 4, 1, 5}));
  const Cluster cluster = instances::devices(2);
  for (const std::string& policy : all_policies()) {
    const auto seeded = [&](std::uint64_t seed) {
      return run(program, cluster, *make_policy(policy, track_count(program), seed));
    };
    const bool same = timeline_json(seeded(1)) == timeline_json(seeded(2));
    EXPECT_EQ(same, policy != "random") << policy;
  }
}

/// Some device is idle, from `from` to `to`, for some of the time.
bool some_device_idle(const Timeline& timeline, Instant from, Instant to) {
  for (std::size_t d = 0; d < timeline.devices.size(); ++d) {
    Duration busy{};
    for (const UnitSpan& span : timeline.units) {
      if (span.device != device_id(d)) continue;
      busy += std::max(Duration{}, std::min(span.to, to) - std::max(span.from, from));
    }
    if (busy < to - from) return true;
  }
  return false;
}

TEST(EveryPolicy, LeavesNoDeviceIdleWhileAUnitIsReadyUnlessItWaitsOnPurpose) {
  for (const std::string& policy : instances::work_conserving()) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      std::mt19937_64 generator(seed);
      std::vector<std::vector<int>> jobs(2 + seed % 6);
      for (auto& job : jobs) {
        for (std::size_t u = 0; u < 1 + generator() % 6; ++u) {
          job.push_back(1 + static_cast<int>(generator() % 9));
        }
      }
      const Timeline timeline =
          run(instances::chains(jobs), instances::devices(1 + seed % 4), policy);
      for (const UnitSpan& span : timeline.units) {
        ASSERT_FALSE(span.ready < span.from && some_device_idle(timeline, span.ready, span.from))
            << policy << ", seed " << seed;
      }
    }
  }
}

TEST(ExternalPolicy, IsRefusedWithAClearErrorWhenItCannotBeUsed) {
  const auto error = [](const std::string& name) {
    return error_of([&] { make_policy(name, 1, 1); });
  };
  EXPECT_EQ(error("so:./nowhere.so").find("policy ./nowhere.so: cannot be loaded: "), 0U);
  const std::string old = std::getenv("SHARDLAB_OLD_POLICY");
  EXPECT_EQ(error(old),
            "policy " + old + ": was built for version " + std::to_string(kPolicyInterface + 1) +
                " of the policy interface, this is version " + std::to_string(kPolicyInterface) +
                "; build it again with the headers of this shardlab");
  EXPECT_EQ(error("most_bytes").find("\"most_bytes\" is no policy; there are lrtf, sharp, "), 0U);
  EXPECT_EQ(error("sticky(-1)"),
            "\"sticky(-1)\": the parameter of sticky(S) is a number from 0 to 1000000");
}

TEST(ExternalPolicy, ThatMisbehavesIsNamedAndEndsTheRunAlone) {
  const std::string bad = std::getenv("SHARDLAB_BAD_POLICY");
  Program program = instances::chains({{1, 1}, {2}});
  const auto error = [&](std::uint64_t seed) {
    return error_of([&] {
      run(program, instances::devices(1), *make_policy(bad, track_count(program), seed));
    });
  };
  const std::string begin = "policy " + bad + ": ";
  EXPECT_EQ(error(1), begin + "threw what is no std::exception");
  EXPECT_EQ(error(2).find(begin + "picked track 123456, which has no unit that is ready"), 0U);
  EXPECT_EQ(error(3).find(begin + "picked track 0, which has no unit that is ready"), 0U);
  EXPECT_EQ(error(4), begin + "I do not like this device");
  EXPECT_EQ(error(5).find(begin + "nothing can run any more although jobs are left, and it"), 0U);
  EXPECT_EQ(error(7).find(begin + "awaits() answered "), 0U);
  EXPECT_EQ(error(8),
            begin + "awaits() answered -1 ns at 0 ns; it may answer what is later, or kNever");
  EXPECT_EQ(error(9).find(begin + "nothing can run any more although jobs are left, and it"), 0U);
  program.jobs[0].resident = true;
  EXPECT_EQ(error(6).find(begin + "placed a job on device 99, there are 1"), 0U);
}

/// LRTF that looks at what it can see whenever it picks.
class Watching : public Policy {
 public:
  explicit Watching(std::size_t tracks) : under_(tracks) {}
  void begin(const StateView& view) override { view_ = &view; }
  void ready(const Candidate& unit) override { under_.ready(unit); }
  void gone(TrackId track) override { under_.gone(track); }
  TrackId pick(const DeviceView& device) override {
    look(device);
    return under_.pick(device);
  }
  void arrived(JobId job) override { told_ += "+" + std::to_string(index(job)); }
  void completed(JobId job) override { told_ += "-" + std::to_string(index(job)); }
  virtual void look(const DeviceView&) {}

  const StateView* view_ = nullptr;
  std::string told_;

 private:
  Lrtf under_;
};

// A is 4 + 2, B 3 + 3, one device each; C of 1 comes at 5.
TEST(StateView, SaysWhatRunsSinceWhenAndWhatIsLeft) {
  class Looking final : public Watching {
   public:
    using Watching::Watching;
    void look(const DeviceView& device) override {
      if (device.now != Instant{Duration{3}}) return;
      const StateView::Lane other = view_->lane(DeviceId{0});
      EXPECT_EQ(other.running, TrackId{0});
      EXPECT_EQ(other.since, Instant{});
      EXPECT_EQ(other.expected_end, Instant{Duration{4}});
      EXPECT_EQ(other.free_at, Instant{Duration{4}});
      EXPECT_EQ(other.claims, 1U);
      EXPECT_EQ(view_->lane(device.id).running, kNoTrack);
      EXPECT_EQ(view_->lane(device.id).free_at, device.now);
      EXPECT_EQ(view_->remaining(TrackId{1}), Duration{3});
      EXPECT_EQ(view_->units_done(TrackId{1}), 1U);
      EXPECT_EQ(view_->state(JobId{2}), StateView::JobState::kWaiting);
      EXPECT_EQ(view_->state(JobId{0}), StateView::JobState::kRunning);
      ++looked;
    }
    int looked = 0;
  };
  Program program = instances::chains({{4, 2}, {3, 3}, {1}});
  program.jobs[2].arrival = Instant{Duration{5}};
  Looking policy(3);
  run(program, instances::devices(2), policy);
  EXPECT_EQ(policy.looked, 1);
  EXPECT_EQ(policy.told_, "+0+1+2-0-1-2");
}

/// Jobs of one shard each, which two units of a minibatch read and the second changes. A byte takes
/// a ns.
Program read_then_write(std::size_t jobs, Bytes bytes, std::int64_t minibatches) {
  Program program;
  for (std::size_t j = 0; j < jobs; ++j) {
    JobProgram job;
    job.name = "job" + std::to_string(j);
    job.minibatches = minibatches;
    job.items = {{ItemKind::kParameters, 0, bytes, true, kNoDevice}};
    Unit reads;
    reads.alone = reads.loaded = {Duration{10}, {}};
    reads.reads.add(0);
    Unit writes = reads;
    writes.writes.add(0);
    job.units = {reads, writes};
    expect(job, false);
    program.jobs.push_back(job);
  }
  return program;
}

TEST(StateView, SaysWhatIsOnADeviceAndWhatIsUnderWay) {
  class Looking final : public Watching {
   public:
    using Watching::Watching;
    void look(const DeviceView& device) override {
      if (device.now == Instant{}) {
        EXPECT_EQ(view_->present(JobId{0}, 0, device.id), 0);
      }
      if (device.now == Instant{Duration{40}}) {  // Its first unit is done.
        EXPECT_EQ(view_->present(JobId{0}, 1, device.id), 30);
        EXPECT_EQ(view_->queue(device.id, Direction::kDemote).transfers, 0U);
        ++looked;
      }
    }
    int looked = 0;
  };
  const Program program = read_then_write(1, 30, 2);
  Looking policy(1);
  run(program, instances::devices(1, 30, {Duration{}, 1e9}), policy);
  EXPECT_EQ(policy.looked, 1);
}

int demotions(const Timeline& timeline) {
  return static_cast<int>(std::ranges::count_if(
      timeline.copies, [](const CopySpan& span) { return span.direction == Direction::kDemote; }));
}

// Two jobs take turns on a device with room for both: each is written back after all three of its
// steps, or once.
TEST(Policy, WhatItKeepsIsWrittenBackAtTheEndOfTheJob) {
  class Keeping final : public Watching {
   public:
    using Watching::Watching;
    [[nodiscard]] bool keeps(JobId, DeviceId) const override { return true; }
  };
  const Program program = read_then_write(2, 30, 3);
  const Cluster cluster = instances::devices(1, 60, {Duration{}, 1e9}, 2);
  EXPECT_EQ(demotions(run(program, cluster, "lrtf")), 6);
  Keeping policy(2);
  const Timeline timeline = run(program, cluster, policy);
  EXPECT_EQ(demotions(timeline), 2);
  EXPECT_TRUE(timeline.units.front().kept);
}

// Two devices take turns with one job: what one has changed and keeps, the other asks for.
TEST(Policy, WhatItKeepsIsWrittenBackWhenAnotherDeviceAsksForIt) {
  class Turning final : public Policy {
   public:
    void ready(const Candidate& unit) override { unit_ = unit, there_ = true; }
    void gone(TrackId) override { there_ = false; }
    TrackId pick(const DeviceView& device) override {
      const bool mine = there_ && static_cast<std::size_t>(unit_.minibatch % 2) == index(device.id);
      if (!mine) return kNoTrack;
      there_ = false;
      return unit_.track;
    }
    [[nodiscard]] bool keeps(JobId, DeviceId) const override { return true; }

   private:
    Candidate unit_;
    bool there_ = false;
  } policy;
  const Program program = read_then_write(1, 30, 4);
  const Timeline timeline = run(program, instances::devices(2, 30, {Duration{}, 1e9}, 2), policy);
  expect_valid(timeline, program);
  // Each minibatch: it comes (30), two units, it goes back (30).
  EXPECT_EQ(timeline.makespan, Instant{Duration{4 * (30 + 20 + 30)}});
}

// Three jobs of 10 bytes on a device with room for two: the one that is worth most stays.
TEST(Policy, WhatIsWorthLeastGoesFirst) {
  class Valuing final : public Watching {
   public:
    using Watching::Watching;
    [[nodiscard]] bool evicts() const override { return true; }
    std::int64_t worth(JobId job, ItemIndex, DeviceId) override { return job == JobId{0} ? 1 : 0; }
  };
  const auto loads_of_first = [](const Timeline& timeline) {
    return std::ranges::count_if(timeline.copies, [](const CopySpan& span) {
      return span.direction == Direction::kPromote && span.job == JobId{0};
    });
  };
  Program program = read_then_write(3, 10, 6);
  for (JobProgram& job : program.jobs) job.units.resize(1);  // They only read.
  const Cluster cluster = instances::devices(1, 20, {Duration{}, 1e9});
  EXPECT_GT(loads_of_first(run(program, cluster, "lrtf")), 1);
  Valuing policy(3);
  EXPECT_EQ(loads_of_first(run(program, cluster, policy)), 1);
}

}  // namespace
}  // namespace shardlab
