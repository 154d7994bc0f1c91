#include <benchmark/benchmark.h>

#include "policies/registry.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/instances.h"

/// Units per second of the simulator on one core; every unit is simulated, none skipped.
namespace shardlab {
namespace {

/// M jobs of K shards, durations drawn per job, shard and phase; units = (2K-1) B M.
Program many_jobs(int jobs, int shards, std::int64_t minibatches, std::size_t devices) {
  instances::Shape shape;
  shape.jobs = jobs;
  shape.shards = shards;
  shape.minibatches = minibatches;
  shape.longest = 1'000'000;
  const instances::Case drawn = instances::draw(shape, 1);
  return lower(drawn.workload, instances::devices(devices), drawn.profile, drawn.plan);
}

void run(benchmark::State& state, const Program& program, const Cluster& cluster) {
  std::int64_t units = 0;
  for (auto _ : state) {
    const auto policy = make_policy("lrtf", program.jobs.size(), 1);
    EstimatedCosts costs(program);
    units += simulate(program, cluster, *policy, costs, nullptr).units;
  }
  state.SetItemsProcessed(units);
}

/// `spill` without links: compute only. Bar: 5 million units/s.
void BM_SpillWithoutLinks(benchmark::State& state) {
  run(state, many_jobs(64, 16, 1000, 8), instances::devices(8));
}
BENCHMARK(BM_SpillWithoutLinks)->Unit(benchmark::kMillisecond);

/// The same with 512 devices and twice the jobs.
void BM_SpillWithoutLinksWide(benchmark::State& state) {
  run(state, many_jobs(1024, 16, 50, 512), instances::devices(512));
}
BENCHMARK(BM_SpillWithoutLinksWide)->Unit(benchmark::kMillisecond);

/// `spill` with budgets, double buffering and paced links: every promotion, eviction and
/// write-back.
void BM_SpillWithLinks(benchmark::State& state) {
  Program program = many_jobs(64, 16, 100, 8);
  program.slots = 2;
  run(state, program, instances::devices(8, 200, {Duration{10}, 1e8}));
}
BENCHMARK(BM_SpillWithLinks)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace shardlab

BENCHMARK_MAIN();
