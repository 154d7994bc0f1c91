#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/instance.h"
#include "policies/registry.h"
#include "policies/replay.h"
#include "tests/instances.h"

/// What a decision costs each policy: a unit is offered and another picked, with so many jobs ready
/// on 8 devices, which are equal, of two speeds, or that with links that copies pass. The view
/// answers from tables; what the Driver takes to answer comes on top.
namespace shardlab {
namespace {

/// A run in which every device computes, and all jobs but those are ready.
class Standing final : public StateView {
 public:
  Standing(const Program& program, const Cluster& cluster) : program_(program), cluster_(cluster) {}

  [[nodiscard]] const Program& program() const override { return program_; }
  [[nodiscard]] const Cluster& cluster() const override { return cluster_; }
  [[nodiscard]] Instant now() const override { return now_; }
  [[nodiscard]] Lane lane(DeviceId device) const override {
    return {track_id(index(device)), 0, now_, now_ + Duration{1000}, 1, now_ + Duration{1000}};
  }
  [[nodiscard]] Queue queue(DeviceId, Direction) const override { return {}; }
  [[nodiscard]] Bytes present(JobId, std::uint32_t, DeviceId) const override { return 0; }
  [[nodiscard]] std::span<const DeviceId> holders(JobId, std::uint32_t) const override {
    return {};
  }
  [[nodiscard]] JobState state(JobId) const override { return JobState::kRunning; }
  [[nodiscard]] JobId job(TrackId track) const override { return job_id(index(track)); }
  [[nodiscard]] std::size_t units_done(TrackId) const override { return 0; }
  [[nodiscard]] std::int64_t minibatch(TrackId) const override { return 0; }
  [[nodiscard]] Duration remaining(TrackId) const override { return {}; }

  void pass(Duration time) { now_ += time; }

 private:
  const Program& program_;
  const Cluster& cluster_;
  Instant now_{};
};

constexpr std::size_t kDevices = 8;

enum class Shape { kEqual, kMixed, kCopies };

/// Every second device is half as fast.
void mix(Program& program) {
  auto& slow = program.times.emplace_back();
  for (const JobProgram& job : program.jobs) {
    auto& times = slow.emplace_back();
    for (const Unit& unit : job.units) {
      const UnitCost twice{2 * unit.loaded.total, {}};
      times.push_back({twice, twice});
    }
  }
  for (std::size_t d = 0; d < kDevices; ++d) {
    program.class_of.push_back(static_cast<std::uint16_t>(d % 2));
  }
}

/// Each unit reads the parameters of its shard, and all but forwards change them.
void add_parameters(Program& program, Bytes bytes) {
  for (JobProgram& job : program.jobs) {
    for (Unit& unit : job.units) {
      const auto shard = static_cast<std::size_t>(unit.shard);
      if (shard >= job.items.size()) {
        job.items.push_back({ItemKind::kParameters, unit.shard, bytes, true, kNoDevice});
      }
      unit.reads.add(static_cast<ItemIndex>(shard));
      if (unit.kind != UnitKind::kForward) unit.writes.add(static_cast<ItemIndex>(shard));
    }
  }
}

constexpr std::size_t kReplayed = 1 << 20;  ///< Decisions of an order.

/// Replay follows an order of first units, which is all that is offered here.
std::unique_ptr<Policy> policy_of(const std::string& name, const Program& program) {
  if (name != kReplay) return make_policy(name, program.jobs.size(), 1);
  std::vector<OrderedUnit> order(kReplayed);
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i].device = device_id(i % kDevices);
    order[i].job = job_id(i % program.jobs.size());
  }
  return std::make_unique<Replay>(order, program, kDevices, Replay::Times::kKept);
}

void decide(benchmark::State& state, const std::string& name, Shape shape) {
  const auto jobs = static_cast<std::size_t>(state.range(0));
  Program program = compute_only(static_cast<int>(jobs), 4, 1000);
  if (shape != Shape::kEqual) mix(program);
  Cluster cluster = instances::devices(kDevices);
  if (shape == Shape::kCopies) {  // A copy takes as long as a unit, about.
    add_parameters(program, 500'000);
    cluster = instances::devices(kDevices, kUnlimited, {Duration{5000}, 1e9}, 2);
  }
  Standing view(program, cluster);
  const auto policy = policy_of(name, program);
  policy->begin(view);
  std::vector<Candidate> next;
  for (std::size_t j = 0; j < jobs; ++j) {
    const JobProgram& job = program.jobs[j];
    next.push_back({track_id(j),
                    job_id(j),
                    0,
                    0,
                    kNoDevice,
                    1000 * minibatch_time(job),
                    job.units[0].expected,
                    {},
                    false});
    policy->ready(next.back());
  }
  std::size_t device = 0;
  for (auto _ : state) {
    const TrackId track = policy->pick({device_id(device), view.now(), false});
    device = (device + 1) % kDevices;
    if (track == kNoTrack) continue;
    Candidate& unit = next[index(track)];
    unit.remaining -= unit.unit_time / 1000;
    unit.since = view.now();
    view.pass(Duration{1});
    policy->ready(unit);
  }
  state.SetItemsProcessed(state.iterations());
}

const bool kRegistered = [] {
  std::vector<std::string> names{kReplay};
  for (const PolicyInfo& policy : known_policies()) names.emplace_back(policy.name);
  for (const std::string& name : names) {
    for (const auto& [shape, title] : {std::pair{Shape::kEqual, "/equal"},
                                       {Shape::kMixed, "/mixed"},
                                       {Shape::kCopies, "/copies"}}) {
      auto* registered = benchmark::RegisterBenchmark(
          (name + title).c_str(),
          [name, shape](benchmark::State& state) { decide(state, name, shape); });
      registered->Arg(64)->Arg(10'000);
      if (name == kReplay) registered->Iterations(kReplayed);
    }
  }
  return true;
}();

}  // namespace
}  // namespace shardlab

BENCHMARK_MAIN();
