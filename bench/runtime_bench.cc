#include <benchmark/benchmark.h>

#include "exec/emulated.h"
#include "policies/registry.h"
#include "sched/lower.h"
#include "tests/instances.h"

namespace shardlab {
namespace {

/// What the runtime takes per unit: devices whose units and copies take a few nanoseconds, with
/// budgets that make them copy, and as many copy engines as the second argument says. Counters:
/// microseconds of wall-clock time per unit and lane, copies per unit.
void overhead_per_unit(benchmark::State& state) {
  const auto devices = static_cast<std::size_t>(state.range(0));
  const instances::Case drawn = instances::draw(
      {.jobs = 2 * static_cast<int>(devices), .shards = 4, .minibatches = 300, .slots = 2}, 1);
  Cluster cluster = instances::devices(devices, kUnlimited, {}, static_cast<int>(state.range(1)));
  for (DeviceSpec& device : cluster.devices) device.kind = kEmulated;
  const Program program = lower(drawn.workload, cluster, drawn.profile, drawn.plan);
  for (DeviceSpec& device : cluster.devices) device.memory = instances::tight_budget(program);
  double lane_seconds = 0, units = 0, copies = 0;
  for (auto _ : state) {
    const auto policy = make_policy("lrtf", track_count(program), 1);
    const RunResult result = emulate(program, cluster, *policy, {});
    lane_seconds += seconds(result.timeline.makespan) * static_cast<double>(devices);
    units += static_cast<double>(result.timeline.units.size());
    copies += static_cast<double>(result.timeline.copies.size());
  }
  state.counters["us_per_unit"] = 1e6 * lane_seconds / units;
  state.counters["copies_per_unit"] = copies / units;
}
BENCHMARK(overhead_per_unit)
    ->ArgNames({"devices", "engines"})
    ->ArgsProduct({{1, 2, 8}, {0, 2}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace shardlab

BENCHMARK_MAIN();
