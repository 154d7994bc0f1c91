#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/counter_hash.h"
#include "core/parallel.h"
#include "policies/bounds.h"
#include "policies/registry.h"
#include "sim/simulator.h"
#include "tests/instances.h"
#include "tests/scenario.h"
#include "traces/timeline_file.h"

/// Relations between runs that hold whatever the answer is.
namespace shardlab {
namespace {

using scenarios::Lowered;
using scenarios::Scenario;

Timeline run(const Lowered& plan, const std::string& policy) {
  Timeline timeline;
  EstimatedCosts costs(plan.program);
  const auto chosen = make_policy(policy, track_count(plan.program), 1);
  simulate(plan.program, plan.cluster, *chosen, costs, &timeline);
  return timeline;
}

class EveryPolicy : public testing::TestWithParam<PolicyInfo> {
 protected:
  const std::string policy_{GetParam().name};
};

INSTANTIATE_TEST_SUITE_P(All, EveryPolicy, testing::ValuesIn(known_policies()),
                         [](const auto& info) { return std::string(info.param.name); });

// Scaling.

void scale(Duration& time, int factor) { time *= factor; }
void scale(Instant& time, int factor) { time = Instant{time.time_since_epoch() * factor}; }
void scale(UnitCost& cost, int factor) {
  scale(cost.total, factor);
  scale(cost.recompute, factor);
}
template <typename Link>  // LinkSpec, CopyCost
void scale_link(Link& link, int factor) {
  scale(link.latency, factor);
}

void scale(Lowered& plan, int factor) {
  Program& program = plan.program;
  for (JobProgram& job : program.jobs) {
    scale(job.arrival, factor);
    for (Duration& step : job.host_step) scale(step, factor);
    for (Unit& unit : job.units) {
      scale(unit.alone, factor);
      scale(unit.loaded, factor);
      scale(unit.expected, factor);
    }
  }
  for (CopyCost* cost : {&program.copy_alone, &program.copy_loaded}) scale_link(*cost, factor);
  scale(program.dispatch_alone, factor);
  scale(program.dispatch_loaded, factor);
  for (DeviceSpec& device : plan.cluster.devices) {
    scale_link(device.link, factor);
    if (device.back) scale_link(*device.back, factor);
    if (device.peer) scale_link(*device.peer, factor);
  }
  if (plan.cluster.network) scale_link(*plan.cluster.network, factor);
}

void scale(Timeline& timeline, int factor) {
  for (UnitSpan& span : timeline.units) {
    for (Instant* time :
         {&span.ready, &span.claimed, &span.reserved, &span.arrived, &span.from, &span.to}) {
      scale(*time, factor);
    }
    scale(span.recompute, factor);
  }
  for (CopySpan& span : timeline.copies) {
    for (Instant* time : {&span.asked, &span.link_from, &span.link_to, &span.lane_from,
                          &span.lane_to, &span.step_from, &span.done}) {
      scale(*time, factor);
    }
  }
  for (JobEnd& end : timeline.ends) {
    scale(end.at, factor);
    scale(end.arrived, factor);
  }
  scale(timeline.makespan, factor);
}

// Latencies only: what a rate takes is rounded up to whole nanoseconds.
TEST_P(EveryPolicy, ScalesWithAllTimesByAPowerOfTwoToTheBit) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Scenario scenario = scenarios::draw(seed, policy_);
    for (scenarios::Pace* pace :
         {&scenario.link, &scenario.back, &scenario.copy, &scenario.peer, &scenario.network}) {
      pace->latency += std::exchange(pace->per_byte, 0);
    }
    Lowered plan = scenarios::lower(scenario);
    Timeline expected = run(plan, policy_);
    scale(expected, 8);
    scale(plan, 8);
    ASSERT_EQ(timeline_json(run(plan, policy_)), timeline_json(expected)) << "seed " << seed;
  }
}

// Same input, same bytes.

TEST_P(EveryPolicy, GivesTheSameBytesOnOneAndOnTwoThreads) {
  constexpr std::size_t kRuns = 200;
  std::vector<std::string> bytes[2];
  for (const std::size_t threads : {1u, 2u}) {
    auto& all = bytes[threads - 1];
    all.resize(kRuns);
    parallel_for(kRuns, threads, [&](std::size_t i) {
      all[i] = timeline_json(run(scenarios::lower(scenarios::draw(i, policy_)), policy_));
    });
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

/// A scenario whose links share a switch and whose copies slow units down: rates that are no whole
/// numbers.
Lowered with_fractions(std::uint64_t seed, const std::string& policy) {
  Lowered plan = scenarios::lower(scenarios::draw(seed, policy));
  plan.cluster.switches.push_back({"host", 7e8, 0, 1.1e9});
  for (DeviceSpec& device : plan.cluster.devices) {
    if (device.copy_engines == 0) continue;
    device.slow_down_promote = 1.1;
    device.slow_down_demote = 1.3;
    if (device.paced()) device.parent = 0;
  }
  return plan;
}

// What all these come to is a number that every compiler must find. It changes with the rules of
// scheduling, and else never.
TEST(Metamorphic, GivesTheSameBytesWhateverTheCompiler) {
  std::uint64_t digest = 0;
  for (const char* policy : {"lrtf", "fifo", "random", "sticky", "hold", "heft", "sharp"}) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      for (const Lowered& plan : {scenarios::lower(scenarios::draw_crowded(seed, policy)),
                                  with_fractions(seed, policy)}) {
        for (const char byte : timeline_json(run(plan, policy))) {
          digest = counter_hash({digest, static_cast<std::uint64_t>(byte)});
        }
      }
    }
  }
  EXPECT_EQ(digest, 32920801069606853u);
}

// Permutation.

/// Jobs that spill, some of them alike; times so long that no two others are as long.
Scenario with_twins(std::uint64_t seed, const std::string& policy) {
  Scenario made = scenarios::draw(seed, policy);
  made.admit = 0;
  std::erase_if(made.jobs, [](const auto& job) { return job.strategy != Strategy::kSpill; });
  if (made.jobs.empty()) made.jobs.emplace_back().shards.resize(2);
  std::mt19937_64 generator(seed);
  for (auto& job : made.jobs) {
    job.arrival = 0;
    for (auto& shard : job.shards) {
      shard.forward += static_cast<std::int64_t>(generator() % 1'000'000);
      shard.backward += static_cast<std::int64_t>(generator() % 1'000'000);
    }
  }
  made.jobs.push_back(made.jobs.front());
  return made;
}

/// What ran where and when, whoever's it was.
std::vector<std::string> anonymous(const Timeline& timeline) {
  std::vector<std::string> all;
  for (const UnitSpan& span : timeline.units) {
    all.push_back(fmt::format("{}.{} on {}: {} to {}", span.minibatch, span.unit,
                              index(span.device), span.from.time_since_epoch().count(),
                              span.to.time_since_epoch().count()));
  }
  std::ranges::sort(all);
  return all;
}

// Their order breaks ties, and there are none but between twins.
TEST(Metamorphic, JobsMayBePermutedWhereOnlyTwinsTie) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    for (const char* policy : {"lrtf", "srtf"}) {
      Scenario scenario = with_twins(seed, policy);
      const auto expected = anonymous(run(scenarios::lower(scenario), policy));
      std::ranges::rotate(scenario.jobs, scenario.jobs.begin() + 1);
      ASSERT_EQ(anonymous(run(scenarios::lower(scenario), policy)), expected)
          << policy << ", seed " << seed << "\n"
          << to_string(scenario);
    }
  }
}

// Bandwidth.

// With one slot and all admitted: else what takes no time still takes another round of its
// instant, in which a buffer may look further ahead, and a job is admitted after slots are filled.
// Without units that take no time, which end in one round more with their copies than without.
TEST_P(EveryPolicy, TakesCopiesThatTakeNoTimeForNone) {
  int compared = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Scenario scenario = scenarios::draw(seed, policy_);
    scenario.link = scenario.back = scenario.copy = scenario.peer = scenario.network = {};
    scenario.slots = 1;
    scenario.buffers.clear();
    scenario.admit = 0;
    for (auto& job : scenario.jobs) {
      job.host_step = 0;  // Else copies are never left out.
      // A resident job goes where there is room.
      if (job.strategy != Strategy::kResident || !job.bound.empty()) continue;
      job.strategy = Strategy::kSpill;
      job.recompute = true;
    }
    if (scenario.jobs.empty()) continue;
    Lowered plan = scenarios::lower(scenario);
    const bool at_once = std::ranges::any_of(plan.program.jobs, [](const JobProgram& job) {
      return std::ranges::any_of(job.units, [](const Unit& unit) {
        return std::min(unit.alone.total, unit.loaded.total) == Duration{};
      });
    });
    if (at_once) continue;
    ++compared;
    for (DeviceSpec& device : plan.cluster.devices) device.memory = Bytes{1} << 40;
    const Timeline with = run(plan, policy_);
    for (DeviceSpec& device : plan.cluster.devices) device.memory = kUnlimited;
    const Timeline without = run(plan, policy_);
    ASSERT_EQ(anonymous(with), anonymous(without)) << "seed " << seed;
    ASSERT_FALSE(with.copies.empty());
    ASSERT_TRUE(without.copies.empty());
  }
  EXPECT_GT(compared, 100);
}

// Bounds.

TEST_P(EveryPolicy, IsNeverFasterThanTheBound) {
  for (std::uint64_t seed = 0; seed < instances::seeds(1000); ++seed) {
    const Lowered plan = scenarios::lower(scenarios::draw(seed, policy_));
    ASSERT_GE(run(plan, policy_).makespan.time_since_epoch(),
              bounds(plan.program, plan.cluster).greatest())
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace shardlab
