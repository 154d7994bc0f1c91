#include <atomic>

#include <benchmark/benchmark.h>

#include "core/counter_hash.h"
#include "core/parallel.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/instances.h"

/// Units per second of the simulator on one core; every unit is simulated, none skipped.
/// bench/summary.py compares with a peer on the same instance.
namespace shardlab {
namespace {

constexpr std::uint64_t kLongest = 1'000'000;  // ns

Duration drawn(std::uint64_t job, std::uint64_t shard, std::uint64_t phase) {
  return Duration{static_cast<Duration::rep>(1 + counter_hash({job, shard, phase}) % kLongest)};
}

/// M jobs of K shards and B minibatches that only compute: units = (2K-1) B M. Durations are drawn
/// per job, shard and phase; simpy_peer.py draws the same.
Program compute_only(int jobs, int shards, std::int64_t minibatches) {
  Program program;
  program.jobs.resize(static_cast<std::size_t>(jobs));
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    JobProgram& job = program.jobs[j];
    job.minibatches = minibatches;
    for (int u = 0; u < 2 * shards - 1; ++u) {
      const bool forward = u < shards - 1;
      Unit unit;
      unit.shard = forward ? u : 2 * (shards - 1) - u;
      unit.kind = forward           ? UnitKind::kForward
                  : u == shards - 1 ? UnitKind::kFused
                                    : UnitKind::kBackward;
      const Duration time = drawn(j, static_cast<std::uint64_t>(unit.shard), forward ? 0 : 1);
      unit.alone = unit.loaded = {time, {}};
      job.units.push_back(unit);
    }
    expect(job, false);
  }
  return program;
}

void run(benchmark::State& state, const Program& program, const Cluster& cluster) {
  Outcome outcome;
  std::int64_t units = 0;
  for (auto _ : state) {
    const auto policy = make_policy("lrtf", program.jobs.size(), 1);
    EstimatedCosts costs(program);
    outcome = simulate(program, cluster, *policy, costs, nullptr);
    units += outcome.units;
  }
  state.SetItemsProcessed(units);
  state.counters["makespan_ns"] = static_cast<double>(outcome.makespan.time_since_epoch().count());
  state.counters["units"] = static_cast<double>(outcome.units);
}

void compute(benchmark::State& state, int jobs, std::int64_t minibatches, std::size_t devices) {
  run(state, compute_only(jobs, 16, minibatches), instances::devices(devices));
}
BENCHMARK_CAPTURE(compute, compute_only, 64, 1000, 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(compute, wide_512, 1024, 100, 512)->Unit(benchmark::kMillisecond);

/// Budgets, double buffering and FIFO links: every promotion, eviction and write-back.
void spill_links(benchmark::State& state) {
  instances::Shape shape;
  shape.jobs = 64;
  shape.shards = 16;
  shape.minibatches = 100;
  shape.longest = kLongest;
  const instances::Case drawn = instances::draw(shape, 1);
  const Cluster cluster = instances::devices(8, 200, {Duration{10}, 1e8});
  Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
  program.slots = 2;
  run(state, program, cluster);
}
BENCHMARK(spill_links)->Unit(benchmark::kMillisecond);

/// 1000 settings, as `shardlab sweep` simulates them, on as many threads as the argument says.
void sweep(benchmark::State& state) {
  constexpr std::size_t kSettings = 1000;
  const Program program = compute_only(16, 8, 20);
  std::atomic<std::int64_t> units = 0;
  for (auto _ : state) {
    parallel_for(kSettings, static_cast<std::size_t>(state.range(0)), [&](std::size_t i) {
      const auto policy = make_policy("random", program.jobs.size(), i);
      EstimatedCosts costs(program);
      units += simulate(program, instances::devices(1 + i % 8), *policy, costs, nullptr).units;
    });
  }
  state.SetItemsProcessed(units);
}
BENCHMARK(sweep)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

/// P=10 000 M=100 000 B=10, and the way there.
void scale(benchmark::State& state) {
  const auto jobs = static_cast<int>(state.range(0));
  run(state, compute_only(jobs, 16, 10), instances::devices(static_cast<std::size_t>(jobs) / 10));
}
BENCHMARK(scale)->Arg(100)->Arg(1000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace shardlab

BENCHMARK_MAIN();
