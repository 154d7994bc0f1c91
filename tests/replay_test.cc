#include "policies/replay.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <tuple>
#include <utility>

#include <gtest/gtest.h>

#include "exec/executor.h"
#include "policies/registry.h"
#include "profiler/profile.h"
#include "report/comparison.h"
#include "sched/lower.h"
#include "tests/small_jobs.h"

namespace shardlab {
namespace {

/// What a device ran, in the order in which it claimed it.
std::vector<std::vector<std::string>> order(const Timeline& timeline) {
  std::vector<const UnitSpan*> by_claim;
  for (const UnitSpan& span : timeline.units) by_claim.push_back(&span);
  std::sort(by_claim.begin(), by_claim.end(),
            [](const UnitSpan* a, const UnitSpan* b) { return a->claim < b->claim; });
  std::vector<std::vector<std::string>> devices(timeline.devices.size());
  for (const UnitSpan* span : by_claim) {
    devices[index(span->device)].push_back(std::to_string(index(span->job)) + "/" +
                                           std::to_string(span->minibatch) + "/" +
                                           std::to_string(span->unit));
  }
  return devices;
}

/// By how much each unit came later, or earlier, in `measured` than in `replayed`, beyond what the
/// one before it on its device did. Sorted.
std::vector<Duration> shifts(const Timeline& measured, const Timeline& replayed) {
  const auto key = [](const UnitSpan& span) {
    return std::tuple(span.job, span.minibatch, span.unit);
  };
  std::map<std::tuple<JobId, std::int64_t, std::uint32_t>, Instant> from;
  for (const UnitSpan& span : replayed.units) from[key(span)] = span.from;
  std::map<DeviceId, Duration> late;
  std::vector<Duration> shifts;
  std::vector<UnitSpan> units = measured.units;
  std::ranges::sort(units, {}, &UnitSpan::from);
  for (const UnitSpan& span : units) {
    const Duration now = span.from - from.at(key(span));
    shifts.push_back(std::chrono::abs(now - std::exchange(late[span.device], now)));
  }
  std::ranges::sort(shifts);
  return shifts;
}

// Real training, simulated again with what every unit and copy took: the same decisions, and at the
// same times but for the runtime's own, which is 1 % of a unit. Whatever else takes a core between
// two units adds to that, on a busy machine between most; what the simulation leaves out, to all.
TEST(Replay, OfARealRunMakesItsDecisionsWhenTheyWereMade) {
  const std::string text = testing::TempDir() + "replay.txt";
  std::ofstream(text) << [] {
    std::string bytes;
    for (int i = 0; i < 5000; ++i) bytes += static_cast<char>('a' + i * i % 23);
    return bytes;
  }();
  Workload work;
  for (int j = 0; j < 3; ++j) {
    work.jobs.push_back(
        small_job("job" + std::to_string(j), Architecture::kGpt, {2 + j, 256, 4, 64}, 0.1));
    train_by(work.jobs.back(), {}, 16, 3, static_cast<std::uint64_t>(j));
    work.jobs.back().data = text;
  }
  Cluster cluster;
  for (const char* name : {"cpu-0", "cpu-1"}) {
    cluster.devices.push_back({name, "cpu", Bytes{256} << 20, 1, 0, {Duration{50'000}, 1e9}});
  }
  Plan plan;
  plan.slots = 2;
  std::vector<std::vector<int>> first;
  for (const Job& job : work.jobs) {
    first.push_back({0, 2, job.model.layers + 1});
    plan.jobs.push_back({Strategy::kSpill, first.back(), {}, true});
  }
  ProfileOptions quick;
  quick.min_rounds = quick.max_rounds = 1;
  const Program program = lower(work, cluster, profile(work, cluster, quick), plan);

  const auto policy = make_policy("lrtf", work.jobs.size(), 1);
  const RunResult measured = run(work, cluster, program, first, *policy, {});
  const Comparison found = compare(program, cluster, plan, measured.timeline);
  ASSERT_EQ(order(found.replayed), order(measured.timeline));
  std::vector<Duration> took;
  for (const UnitSpan& span : measured.timeline.units) took.push_back(span.to - span.from);
  std::ranges::sort(took);
  const std::vector<Duration> shifted = shifts(measured.timeline, found.replayed);
  ASSERT_EQ(shifted.size(), took.size());
  EXPECT_LE(shifted[shifted.size() / 4], took[took.size() / 2] / 100);
  // A copy that was asked for a moment before another may be asked for a moment after it in the
  // replay, and a unit waits for one copy more: some of the hundred may.
  const Duration whole = measured.timeline.makespan - Instant{};
  EXPECT_LE(found.replayed.makespan, measured.timeline.makespan + whole / 20);
}

}  // namespace
}  // namespace shardlab
