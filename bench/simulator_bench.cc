#include <atomic>
#include <sys/resource.h>

#include <benchmark/benchmark.h>

#include "bench/instance.h"
#include "core/parallel.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "sim/simulator.h"
#include "tests/instances.h"

/// Units per second of the simulator on one core; every unit is simulated, none skipped.
/// bench/summary.py compares with a peer on the same instance.
namespace shardlab {
namespace {

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

constexpr std::uint64_t kLargest = 100;  ///< Bytes of parameters; links are slow to match.
/// A link that takes for the largest parameters what the longest unit takes; others are faster by a
/// factor.
constexpr double kSlowLink = 1e9 * kLargest / kLongest;

Cluster linked(double bytes_per_second) {
  return instances::devices(8, kUnlimited, {Duration{10}, bytes_per_second}, /*copy_engines=*/2);
}

void spill(benchmark::State& state, Cluster cluster) {
  const Program program = spilled(64, 16, 1000, kLargest);
  for (DeviceSpec& device : cluster.devices) device.memory = instances::tight_budget(program);
  run(state, program, cluster);
}

/// The instance of compute_only with parameters spilled, no more memory than two of the largest
/// need, and a link per device and direction that takes a tenth of a unit's time for a copy of it.
void spill_links(benchmark::State& state) { spill(state, linked(10 * kSlowLink)); }
BENCHMARK(spill_links)->Unit(benchmark::kMillisecond);

/// The same over links that are hardly ever busy, a thousandth; and over busier ones, a half.
void spill_fast_links(benchmark::State& state) { spill(state, linked(1000 * kSlowLink)); }
BENCHMARK(spill_fast_links)->Unit(benchmark::kMillisecond);
void spill_slow_links(benchmark::State& state) { spill(state, linked(2 * kSlowLink)); }
BENCHMARK(spill_slow_links)->Unit(benchmark::kMillisecond);

/// The last through one switch that passes as much as two of the eight links each way: rates change
/// whenever a copy begins or ends.
void fair_link(benchmark::State& state) {
  Cluster cluster = linked(2 * kSlowLink);
  cluster.switches.push_back({"root", 4 * kSlowLink, 4 * kSlowLink, 0, kNoSwitch});
  for (DeviceSpec& device : cluster.devices) device.parent = 0;
  spill(state, cluster);
}
BENCHMARK(fair_link)->Unit(benchmark::kMillisecond);

/// 64 jobs of 16 shards under `spill`, drawn as a profile and lowered, as a user's are: with
/// optimizer states, activations and gradients, 4.8 copies a unit.
Program training(std::int64_t minibatches, int slots, const Cluster& cluster) {
  instances::Shape shape;
  shape.jobs = 64;
  shape.shards = 16;
  shape.minibatches = minibatches;
  shape.slots = slots;
  shape.longest = kLongest;
  const instances::Case drawn = instances::draw(shape, 1);
  return lower(drawn.workload, cluster, drawn.profile, drawn.plan);
}

/// Without budgets and with copies that cost nothing: what is left is the order. The simulator then
/// leaves memory and copies out.
void training_no_links(benchmark::State& state) {
  const Cluster cluster = instances::devices(8);
  run(state, training(200, 1, cluster), cluster);
}
BENCHMARK(training_no_links)->Unit(benchmark::kMillisecond);

/// With double buffering and no more memory than two of the largest units need: every reservation,
/// eviction and write-back, by copy engines over links that are not paced.
void training_budget(benchmark::State& state) {
  Cluster cluster = instances::devices(8);
  const Program program = training(200, 2, cluster);
  for (DeviceSpec& device : cluster.devices) device.memory = instances::tight_budget(program);
  run(state, program, cluster);
}
BENCHMARK(training_budget)->Unit(benchmark::kMillisecond);

/// Budgets and double buffering over paced links: copies that wait for each other, too.
void training_links(benchmark::State& state) {
  const Cluster cluster = instances::devices(8, 200, {Duration{10}, 1e8});
  run(state, training(100, 2, cluster), cluster);
}
BENCHMARK(training_links)->Unit(benchmark::kMillisecond);

/// The same over links so slow that copies overlap, through one switch.
void training_fair_link(benchmark::State& state) {
  Cluster cluster = instances::devices(8, 200, {Duration{10}, 2e5});
  cluster.switches.push_back({"root", 4e5, 4e5, 0, kNoSwitch});
  for (DeviceSpec& device : cluster.devices) device.parent = 0;
  run(state, training(100, 2, cluster), cluster);
}
BENCHMARK(training_fair_link)->Unit(benchmark::kMillisecond);

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

/// Of this process until now, in bytes.
double peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

/// P=10 000 M=100 000 B=10, and the way there. Ascending: the peak is that of the last.
void scale(benchmark::State& state) {
  const auto jobs = static_cast<int>(state.range(0));
  run(state, compute_only(jobs, 16, 10), instances::devices(static_cast<std::size_t>(jobs) / 10));
  state.counters["peak_bytes"] = peak_memory();
}
BENCHMARK(scale)->Arg(64)->Arg(256)->Arg(1000)->Arg(4000)->Arg(16'000)->Arg(100'000)->Unit(
    benchmark::kMillisecond);

}  // namespace
}  // namespace shardlab

BENCHMARK_MAIN();
