#include "sim/drawn_costs.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policies/registry.h"
#include "report/statistics.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/scenario.h"
#include "tests/timeline_check.h"
#include "traces/timeline_file.h"

namespace shardlab {
namespace {

Noise noise_of(const Ratio& ratio) {
  Noise noise;
  noise.units.fill(ratio);
  noise.copies.fill(ratio);
  return noise;
}

/// Six jobs that spill through two devices too small for all, over paced links with engines.
struct Instance {
  Program program;
  Cluster cluster;

  Instance() {
    const auto made = instances::draw({6, 3, 5, 2, 20'000, 16}, 3);
    program = lower(made.workload, instances::devices(2), made.profile, made.plan);
    cluster = instances::devices(2, instances::tight_budget(program), {Duration{100}, 1e7});
  }

  [[nodiscard]] Timeline run(const Noise& noise, std::uint64_t seed, std::int64_t replication,
                             const std::string& policy = "lrtf") const {
    EstimatedCosts estimates(program);
    DrawnCosts costs(estimates, program, noise, seed, replication);
    Timeline timeline;
    simulate(program, cluster, *make_policy(policy, track_count(program), 1), costs, &timeline);
    return timeline;
  }
  [[nodiscard]] double makespan(const Noise& noise, std::uint64_t seed, std::int64_t replication,
                                const std::string& policy) const {
    return seconds(run(noise, seed, replication, policy).makespan);
  }
};

TEST(DrawnCosts, FixedDurationsGiveThePlainSimulationToTheByte) {
  const Instance instance;
  EstimatedCosts estimates(instance.program);
  Timeline plain;
  simulate(instance.program, instance.cluster,
           *make_policy("lrtf", track_count(instance.program), 1), estimates, &plain);
  EXPECT_EQ(timeline_json(instance.run(noise_of(Fixed{}), 1, 4)), timeline_json(plain));
  EXPECT_NE(timeline_json(instance.run(noise_of(Lognormal(0.1)), 1, 4)), timeline_json(plain));
}

TEST(DrawnCosts, NoisyTimelinesAreValidAndRepeatToTheByte) {
  const Instance instance;
  for (const Ratio& ratio : {Ratio(TruncatedNormal(0.3)), Ratio(Lognormal(2)), Ratio(Gamma(0.2)),
                             Ratio(Exponential{}), Ratio(Resampled({0.0, 1.0, 4.0}))}) {
    const Timeline first = instance.run(noise_of(ratio), 5, 0);
    expect_valid(first, instance.program);
    EXPECT_EQ(timeline_json(first), timeline_json(instance.run(noise_of(ratio), 5, 0)));
    EXPECT_NE(timeline_json(first), timeline_json(instance.run(noise_of(ratio), 5, 1)));
    EXPECT_NE(timeline_json(first), timeline_json(instance.run(noise_of(ratio), 6, 0)));
  }
}

/// Of every unit, by job, minibatch and unit: total and recomputation.
std::vector<UnitCost> all_units(DrawnCosts& costs, const Program& program, bool backwards) {
  std::vector<UnitRun> runs;
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    for (std::int64_t minibatch = 0; minibatch < program.jobs[j].minibatches; ++minibatch) {
      for (std::uint32_t u = 0; u < program.jobs[j].units.size(); ++u) {
        runs.push_back({job_id(j), u, minibatch, DeviceId{}, 1, true});
      }
    }
  }
  std::vector<UnitCost> drawn(runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::size_t which = backwards ? runs.size() - 1 - i : i;
    drawn[which] = costs.unit(runs[which]);
  }
  return drawn;
}

TEST(DrawnCosts, ADrawDependsOnItsPlaceAndNotOnTheOrderOfCalls) {
  const Instance instance;
  const Noise noise = noise_of(Lognormal(0.3));
  EstimatedCosts estimates(instance.program);
  DrawnCosts one(estimates, instance.program, noise, 9, 2);
  DrawnCosts other(estimates, instance.program, noise, 9, 2);
  DrawnCosts again(estimates, instance.program, noise, 9, 3);
  const auto forwards = all_units(one, instance.program, false);
  const auto backwards = all_units(other, instance.program, true);
  const auto next = all_units(again, instance.program, false);
  int equal = 0;
  for (std::size_t i = 0; i < forwards.size(); ++i) {
    EXPECT_EQ(forwards[i].total, backwards[i].total);
    EXPECT_EQ(forwards[i].recompute, backwards[i].recompute);
    EXPECT_LE(forwards[i].recompute, forwards[i].total);
    if (forwards[i].total == next[i].total) ++equal;
  }
  EXPECT_LT(equal, 5) << "another replication draws other times";
}

TEST(DrawnCosts, AUnitTakesAsLongUnderEveryPolicy) {
  const Instance instance;
  const Noise noise = noise_of(Gamma(0.4));
  std::map<std::vector<std::int64_t>, Duration> under_lrtf;
  const auto key = [](const UnitSpan& span) {
    return std::vector<std::int64_t>{static_cast<std::int64_t>(span.job), span.minibatch,
                                     span.unit};
  };
  for (const UnitSpan& span : instance.run(noise, 1, 0, "lrtf").units) {
    under_lrtf[key(span)] = span.to - span.from;
  }
  for (const UnitSpan& span : instance.run(noise, 1, 0, "fifo").units) {
    EXPECT_EQ(under_lrtf.at(key(span)), span.to - span.from);
  }
}

/// What is drawn for the same place is the same in both.
struct TwoOfOneSeed {
  const Instance instance;
  const Noise noise = noise_of(Lognormal(0.3));
  EstimatedCosts estimates{instance.program};
  DrawnCosts one{estimates, instance.program, noise, 1, 0};
  DrawnCosts other{estimates, instance.program, noise, 1, 0};
};

TEST(DrawnCosts, CopiesOfAnItemInOneMinibatchAreDrawnApart) {
  TwoOfOneSeed costs;
  DrawnCosts &one = costs.one, &other = costs.other;
  const Duration by_link{1'000'000};
  Transfer transfer;
  const Duration first = one.engine_copy(transfer, by_link);
  const Duration second = one.engine_copy(transfer, by_link);
  EXPECT_NE(first, second);
  transfer.item = 1;  // Copies of another item, or back, change nothing.
  other.engine_copy(transfer, by_link);
  transfer.item = 0;
  transfer.direction = Direction::kDemote;
  EXPECT_NE(other.engine_copy(transfer, by_link), first);
  transfer.direction = Direction::kPromote;
  EXPECT_EQ(other.engine_copy(transfer, by_link), first);
  transfer.minibatch = 1;
  const Duration next = other.engine_copy(transfer, by_link);
  one.engine_copy({}, by_link);
  EXPECT_EQ(one.engine_copy(transfer, by_link), next) << "however many went before in minibatch 0";
}

TEST(DrawnCosts, CopiesInOneDirectionDoNotCountInAnother) {
  const Instance instance;
  const Noise noise = noise_of(Lognormal(0.3));
  EstimatedCosts estimates(instance.program);
  const Duration by_link{1'000'000};
  for (const Direction before : {Direction::kPromote, Direction::kDemote, Direction::kPeer}) {
    DrawnCosts fresh(estimates, instance.program, noise, 1, 0);
    DrawnCosts used(estimates, instance.program, noise, 1, 0);
    Transfer transfer;
    transfer.direction = before;
    used.engine_copy(transfer, by_link);
    for (const Direction now : {Direction::kPromote, Direction::kDemote, Direction::kPeer}) {
      transfer.item = 1;
      transfer.direction = now;
      EXPECT_EQ(used.engine_copy(transfer, by_link), fresh.engine_copy(transfer, by_link));
    }
  }
}

/// What the spans took together, in nanoseconds.
template <typename Spans, typename Took>
std::int64_t sum(const Spans& spans, const Took& took) {
  std::int64_t all = 0;
  for (const auto& span : spans) all += took(span).count();
  return all;
}

// Nothing that takes time has no noise: a set of one ratio doubles each kind of duration.
TEST(DrawnCosts, DoubleTheLinksOfLanesThatCopyAndDispatch) {
  Instance instance;
  instance.program.dispatch_alone = instance.program.dispatch_loaded = Duration{700};
  instance.program.copy_alone = instance.program.copy_loaded = {Duration{40}, 1e9};
  for (DeviceSpec& device : instance.cluster.devices) device.copy_engines = 0;
  const Noise none = noise_of(Fixed{});
  Noise twice = none;
  twice.copies.fill(Resampled({2.0}));
  twice.dispatch = Resampled({2.0});
  const Timeline plain = instance.run(none, 1, 0, "fifo"), slow = instance.run(twice, 1, 0, "fifo");
  std::map<std::int64_t, std::int64_t> link, lane;  // By bytes.
  for (const CopySpan& span : plain.copies) {
    link[span.bytes] = (span.link_to - span.link_from).count();
    lane[span.bytes] = (span.lane_to - span.lane_from).count();
  }
  ASSERT_FALSE(slow.copies.empty());
  for (const CopySpan& span : slow.copies) {
    ASSERT_GT(link.at(span.bytes), 0);
    EXPECT_EQ((span.link_to - span.link_from).count(), 2 * link.at(span.bytes));
    EXPECT_EQ((span.lane_to - span.lane_from).count(), 2 * lane.at(span.bytes));
  }
  for (const UnitSpan& span : slow.units) EXPECT_EQ(span.from - span.arrived, Duration{1400});
  EXPECT_EQ(sum(slow.units, [](const UnitSpan& span) { return span.to - span.from; }),
            sum(plain.units, [](const UnitSpan& span) { return span.to - span.from; }));
}

TEST(DrawnCosts, DoubleWhatTheDiskTakes) {
  Instance instance;
  Program& program = instance.program;
  program.jobs.resize(1);
  program.slots = 1;
  instance.cluster = instances::devices(1);
  instance.cluster.host_memory = scenarios::largest_item(program);
  instance.cluster.disk = {{Duration{50}, 1e6}, {Duration{50}, 1e6}};
  Noise twice = noise_of(Fixed{});
  twice.copies.fill(Resampled({2.0}));
  const Timeline plain = instance.run(noise_of(Fixed{}), 1, 0), slow = instance.run(twice, 1, 0);
  const auto computing = sum(plain.units, [](const UnitSpan& span) { return span.to - span.from; });
  // One job on one device: what is not computing is reading and writing, of which some is hidden.
  const auto moving = [&](const Timeline& timeline) {
    return timeline.makespan.time_since_epoch().count() - computing;
  };
  EXPECT_GT(moving(plain), 0);
  EXPECT_GT(moving(slow), 3 * moving(plain) / 2);
}

TEST(DrawnCosts, ADiskCopyIsDrawnByItsItemAndHowManyWentBefore) {
  TwoOfOneSeed costs;
  DrawnCosts &one = costs.one, &other = costs.other;
  const Duration estimate{1'000'000};
  const Duration first = one.disk_copy(3, Direction::kPromote, estimate);
  EXPECT_NE(one.disk_copy(3, Direction::kPromote, estimate), first);
  EXPECT_NE(other.disk_copy(4, Direction::kPromote, estimate), first);
  EXPECT_NE(other.disk_copy(3, Direction::kDemote, estimate), first);
  EXPECT_EQ(other.disk_copy(3, Direction::kPromote, estimate), first);
}

TEST(DrawnCosts, AHostStepIsDrawnByItsGradientApartFromItsCopy) {
  TwoOfOneSeed costs;
  Program program = costs.instance.program;
  program.jobs[0].host_step.assign(16, Duration{1'000'000});
  Noise noise = noise_of(Lognormal(0.3));
  noise.host_steps = Lognormal(0.3);
  EstimatedCosts estimates(program);
  DrawnCosts one(estimates, program, noise, 1, 0), other(estimates, program, noise, 1, 0);
  Transfer gradient;
  gradient.direction = Direction::kDemote;
  const Duration first = one.host_step(gradient);
  EXPECT_NE(first, Duration{1'000'000});
  EXPECT_NE(one.host_step(gradient), first) << "the second of that minibatch";
  EXPECT_NE(other.engine_copy(gradient, Duration{1'000'000}), first);
  EXPECT_EQ(other.host_step(gradient), first) << "however often it was copied";
  gradient.minibatch = 1;
  EXPECT_NE(other.host_step(gradient), first);
  noise.host_steps = Resampled({2.0});
  DrawnCosts twice(estimates, program, noise, 1, 0);
  EXPECT_EQ(twice.host_step(gradient), Duration{2'000'000});
}

TEST(DrawnCosts, UnitsTakeExactlyTheRatiosOfASet) {
  const Instance instance;
  const Noise noise = noise_of(Resampled({0.5, 1.0, 2.0}));
  for (const UnitSpan& span : instance.run(noise, 1, 0).units) {
    const Unit& unit = instance.program.jobs[index(span.job)].units[span.unit];
    const double took = static_cast<double>((span.to - span.from).count());
    bool found = false;
    for (const Duration estimate : {unit.alone.total, unit.loaded.total}) {
      for (const double ratio : {0.5, 1.0, 2.0}) {
        found = found || took == std::round(ratio * static_cast<double>(estimate.count()));
      }
    }
    EXPECT_TRUE(found) << took;
  }
}

TEST(DrawnCosts, CommonDrawsTellPoliciesApartBetterThanIndependentOnes) {
  const Instance instance;
  const Noise noise = noise_of(Lognormal(0.3));
  std::vector<double> lrtf, srtf, srtf_of_other_seed;
  for (std::int64_t r = 0; r < 40; ++r) {
    lrtf.push_back(instance.makespan(noise, 1, r, "lrtf"));
    srtf.push_back(instance.makespan(noise, 1, r, "srtf"));
    srtf_of_other_seed.push_back(instance.makespan(noise, 2, r, "srtf"));
  }
  const auto common = against_best({lrtf, srtf})[1].difference;
  const auto independent = against_best({lrtf, srtf_of_other_seed})[1].difference;
  EXPECT_LT(*common.half_width, 0.75 * *independent.half_width);
}

TEST(DrawnCosts, TimesBeyondTheClockAreAnError) {
  Program program = instances::chains({{1}});
  program.jobs[0].units[0].alone.total = Duration{std::int64_t{1} << 60};
  const Noise noise = noise_of(Resampled({3.0}));
  EstimatedCosts estimates(program);
  DrawnCosts costs(estimates, program, noise, 1, 0);
  EXPECT_NE(error_of([&] { costs.unit({}); }).find("more than 73 years"), std::string::npos);
}

}  // namespace
}  // namespace shardlab
