#include "policies/replay.h"

#include <algorithm>
#include <cmath>
#include <fstream>

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

// Real training, simulated again with what every unit and copy took: the same decisions, and a
// makespan within 1 %.
// What is left is the runtime's own time. Another process that takes a core between two units only
// adds to that, so the least of a few runs is what the runtime itself takes.
TEST(Replay, OfARealRunMakesItsDecisionsAndItsMakespan) {
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

  double off = 1;
  for (int attempt = 0; attempt < 20 && off > 0.01; ++attempt) {
    const auto policy = make_policy("lrtf", work.jobs.size(), 1);
    const RunResult measured = run(work, cluster, program, first, *policy, {});
    const Comparison found = compare(program, cluster, plan, measured.timeline);
    ASSERT_EQ(order(found.replayed), order(measured.timeline));
    const double ratio = seconds(found.replayed.makespan) / seconds(measured.timeline.makespan);
    off = std::min(off, std::abs(ratio - 1));
  }
  EXPECT_LE(off, 0.01);
}

}  // namespace
}  // namespace shardlab
