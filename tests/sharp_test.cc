#include "policies/sharp.h"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "sim/simulator.h"
#include "tests/policy_grid.h"

/// How good `sharp` is, against others and bounds. Instances are those of tests/policy_grid.h: 16
/// jobs on 8 devices, unless said.
namespace shardlab {
namespace {

using policy_grid::Cell;
using policy_grid::Instance;
using policy_grid::Wire;

double makespan(const Instance& instance, const std::string& policy) {
  const auto chosen = make_policy(policy, instance.program, 1);
  EstimatedCosts costs(instance.program);
  const Outcome outcome =
      simulate(instance.program, instance.cluster, *chosen, costs, /*timeline=*/nullptr);
  return static_cast<double>(outcome.makespan.time_since_epoch().count());
}

/// Of policies over a cell: the mean of their makespans over those of the first.
std::vector<double> against_first(const Cell& cell, const std::vector<std::string>& policies,
                                  std::uint64_t seeds) {
  std::vector<double> mean(policies.size());
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const Instance instance = policy_grid::draw(cell, seed);
    const double first = makespan(instance, policies.front());
    for (std::size_t i = 0; i < policies.size(); ++i) {
      mean[i] += makespan(instance, policies[i]) / first / static_cast<double>(seeds);
    }
  }
  return mean;
}

/// Horvath, Lam and Sethi (1977): the greatest of what the j longest jobs take on the j fastest
/// devices, and all of them on all.
double level_bound(const Instance& instance) {
  std::vector<double> jobs, speeds;
  for (const JobProgram& job : instance.program.jobs) {
    jobs.push_back(static_cast<double>((job.minibatches * minibatch_time(job)).count()));
  }
  for (const DeviceSpec& device : instance.cluster.devices) speeds.push_back(device.speed);
  std::ranges::sort(jobs, std::greater{});
  std::ranges::sort(speeds, std::greater{});
  double work = 0, speed = 0, bound = 0;
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    work += jobs[j];
    if (j < speeds.size()) speed += speeds[j];
    if (j + 1 < speeds.size() || j + 1 == jobs.size()) bound = std::max(bound, work / speed);
  }
  return bound;
}

// Every cell of the grid: 80.
TEST(Sharp, IsNowhereMoreThanOnePercentWorseThanLrtf) {
  int cells = 0;
  for (const bool mixed_jobs : {false, true}) {
    for (const bool mixed_devices : {false, true}) {
      for (const Wire wire : {Wire::kNone, Wire::kOwn, Wire::kShared}) {
        for (const double ratio : {0.5, 1.0, 2.0}) {
          for (const int room : {1, 2, 8}) {
            if (wire == Wire::kNone && (ratio != 1 || room == 8)) continue;
            const Cell cell{mixed_jobs, mixed_devices, wire, ratio, room};
            EXPECT_LE(against_first(cell, {"lrtf", "sharp"}, instances::seeds(2)).back(), 1.01)
                << to_string(cell);
            ++cells;
          }
        }
      }
    }
  }
  EXPECT_EQ(cells, 80);
}

// The mean; of single instances one in forty is above, by up to 12 %: see docs/design.md.
TEST(Sharp, ComesWithinSixPercentOfTheBoundOnMixedDevicesWhereLrtfDoesNot) {
  std::uint64_t found = 0;
  double sum = 0;
  for (const bool mixed_jobs : {false, true}) {
    for (const int jobs : {12, 16, 24}) {
      for (std::uint64_t seed = 0; seed < instances::seeds(20); ++seed) {
        Cell cell{mixed_jobs, /*mixed_devices=*/true};
        cell.jobs = jobs;
        cell.room = 1 + static_cast<int>(seed % 2);
        const Instance instance = policy_grid::draw(cell, seed);
        const double bound = level_bound(instance);
        const double lrtf = makespan(instance, "lrtf") / bound;
        if (lrtf < 1.03 || lrtf > 1.13) continue;
        const double sharp = makespan(instance, "sharp") / bound;
        EXPECT_LE(sharp, 1.13) << to_string(cell) << " seed " << seed;
        sum += sharp;
        ++found;
      }
    }
  }
  ASSERT_GT(found, instances::seeds(20) / 2);
  EXPECT_LE(sum / static_cast<double>(found), 1.06);
}

// Load over compute 1/2: all loads take four times what the link can pass.
TEST(Sharp, IsWithinTenPercentOfTheBestOnASaturatedLinkWhereLrtfTakesTwice) {
  const std::vector<std::string> policies{"lrtf", "sharp",     "task_parallel", "sticky(2)",
                                          "hold", "sticky(8)", "heft",          "lrtf_minibatch"};
  for (const bool mixed_jobs : {false, true}) {
    for (const bool mixed_devices : {false, true}) {
      const Cell cell{mixed_jobs, mixed_devices, Wire::kShared, 0.5, 8};
      const auto mean = against_first(cell, policies, instances::seeds(2));
      const double best = *std::ranges::min_element(mean);
      EXPECT_LE(mean[1], 1.1 * best) << to_string(cell);
      EXPECT_GE(mean[0], 1.5 * best) << to_string(cell);
    }
  }
}

/// Jobs of equal units, each of which only reads what must be loaded for it.
Instance equal_units(std::size_t jobs, std::int64_t units, Duration load, Duration compute) {
  Instance made{
      {}, instances::devices(8, 2000, {Duration{}, 1000e9 / static_cast<double>(load.count())})};
  made.program.slots = 2;
  for (std::size_t j = 0; j < jobs; ++j) {
    JobProgram job;
    job.name = "job" + std::to_string(j);
    job.minibatches = units;
    job.items = {{ItemKind::kFrozen, 0, 1000, true, kNoDevice}};
    Unit unit;
    unit.alone = unit.loaded = {compute, {}};
    unit.reads.add(0);
    job.units = {unit};
    expect(job, false);
    made.program.jobs.push_back(job);
  }
  return made;
}

// One job more than devices: who binds its prefetch early makes one device do two jobs.
TEST(Sharp, WastesNothingOnEqualUnitsWithDoubleBuffering) {
  for (const std::int64_t load : {1, 5, 9}) {
    for (const std::int64_t units : {8, 9, 40}) {
      const Instance instance = equal_units(9, units, Duration{load}, Duration{10});
      const double work = static_cast<double>(load + 10 * ((9 * units + 7) / 8));
      EXPECT_EQ(makespan(instance, "sharp"), work) << "load " << load << ", " << units << " units";
    }
  }
  const Instance instance = equal_units(9, 40, Duration{1}, Duration{10});
  EXPECT_NEAR(makespan(instance, "lrtf_committed") / makespan(instance, "sharp"), 4.0 / 3, 0.02);
}

}  // namespace
}  // namespace shardlab
