#include "tests/scenario.h"

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/profile.h"
#include "core/workload.h"
#include "sched/lower.h"
#include "tests/instances.h"

namespace shardlab::scenarios {
namespace {

CopyCost cost(const Pace& pace) {
  const double rate = pace.per_byte > 0 ? 1e9 / static_cast<double>(pace.per_byte) : 0;
  return {Duration{pace.latency}, rate};
}

LinkSpec link(const Pace& pace) { return {cost(pace).latency, cost(pace).bytes_per_second}; }

LayerTimes times(const Shard& shard, std::int64_t percent) {
  const auto time = [&](std::int64_t ns) { return Measured{Duration{ns * percent / 100}, {}, 1}; };
  LayerTimes made;
  made.forward = time(shard.forward);
  made.recompute = time(shard.recompute);
  made.backward = time(shard.backward);
  made.step = time(shard.step);
  return made;
}

LayerCost layer(const Shard& shard, std::int64_t loaded, std::int64_t host_step) {
  LayerCost made;
  made.alone = times(shard, 100);
  made.loaded = times(shard, loaded);
  made.parameters = shard.parameters;
  made.state = shard.state;
  made.output = shard.output;
  made.forward_workspace = shard.forward_workspace;
  made.saved = shard.saved;
  made.backward_workspace = shard.backward_workspace;
  if (host_step > 0) made.host_step = Measured{Duration{host_step - 1}, {}, 1};
  return made;
}

void add(const ScenarioJob& from, std::int64_t loaded, instances::Case& to) {
  Job job;
  job.name = "job" + std::to_string(to.workload.jobs.size());
  job.model = {Architecture::kMlp, static_cast<int>(to.workload.jobs.size()) + 1, 1, 1, 1, 0};
  job.batch = static_cast<int>(from.microbatches * from.replicas);
  job.minibatches = from.minibatches;
  job.arrival = Duration{from.arrival};
  job.priority = static_cast<int>(from.priority);
  ModelProfile model{job.model, 1, job.optimizer.kind, {}};
  JobPlan plan;
  plan.strategy = from.strategy;
  plan.recompute = from.recompute;
  plan.microbatches = static_cast<int>(from.microbatches);
  plan.replicas = static_cast<int>(from.replicas);
  plan.step = from.host_step > 0 ? StepPlace::kHost : StepPlace::kDevice;
  job.frozen_layers = static_cast<int>(from.frozen);
  for (std::size_t s = 0; s < from.shards.size(); ++s) {
    model.layers.push_back(layer(from.shards[s], loaded, from.host_step));
    plan.first_layer.push_back(static_cast<int>(s));
  }
  for (const std::int64_t d : from.bound)
    plan.device.push_back(DeviceId{static_cast<std::uint32_t>(d)});
  to.workload.jobs.push_back(job);
  to.profile.models.push_back(model);
  to.plan.jobs.push_back(plan);
}

/// What its units take beyond the estimate, on devices of any class.
void make_late(const Scenario& scenario, Program& program) {
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    for (std::size_t u = 0; u < program.jobs[j].units.size(); ++u) {
      Unit& unit = program.jobs[j].units[u];
      const Duration late{scenario.jobs[j].shards[static_cast<std::size_t>(unit.shard)].late};
      unit.alone.total += late;
      unit.loaded.total += late;
      for (auto& jobs : program.times) {
        jobs[j][u].alone.total += late;
        jobs[j][u].loaded.total += late;
      }
    }
  }
}

/// Frozen shards of one base and number are as large as the first job's.
std::vector<ScenarioJob> equal_bases(std::vector<ScenarioJob> jobs) {
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> known;
  for (ScenarioJob& job : jobs) {
    for (std::int64_t s = 0; job.base > 0 && s < job.frozen; ++s) {
      std::int64_t& parameters = job.shards[static_cast<std::size_t>(s)].parameters;
      parameters = known.try_emplace({job.base, s}, parameters).first->second;
    }
  }
  return jobs;
}

/// And one item.
void share_bases(const std::vector<ScenarioJob>& jobs, Program& program) {
  std::map<std::pair<std::int64_t, std::int32_t>, std::int32_t> known;
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    if (jobs[j].base == 0) continue;
    for (Item& item : program.jobs[j].items) {
      if (item.kind != ItemKind::kFrozen || item.bytes == 0) continue;
      const auto [found, fresh] =
          known.try_emplace({jobs[j].base, item.shard}, program.shared_items);
      if (fresh) ++program.shared_items;
      item.shared = found->second;
    }
  }
}

}  // namespace

Lowered lower(const Scenario& scenario) {
  instances::Case made;
  for (const ScenarioJob& job : equal_bases(scenario.jobs)) add(job, scenario.loaded, made);
  made.plan.slots = static_cast<int>(scenario.slots);
  made.plan.admit = static_cast<int>(scenario.admit);
  made.profile.alone.copy = cost(scenario.copy);
  made.profile.loaded.copy = cost({2 * scenario.copy.latency, scenario.copy.per_byte});
  made.profile.alone.dispatch = Duration{scenario.dispatch};
  made.profile.loaded.dispatch = Duration{scenario.dispatch / 2};
  Cluster cluster = instances::devices(scenario.spare.size(), kUnlimited, link(scenario.link),
                                       static_cast<int>(scenario.engines));
  for (DeviceSpec& device : cluster.devices) {
    device.back = link(scenario.back);
    if (scenario.peer != Pace{}) device.peer = link(scenario.peer);
  }
  for (std::size_t d = 0; d < scenario.buffers.size(); ++d) {
    cluster.devices[d].buffer_slots = static_cast<int>(scenario.buffers[d]);
  }
  for (std::size_t d = 0; d < scenario.speeds.size(); ++d) {
    cluster.devices[d].speed = static_cast<double>(scenario.speeds[d]) / 100;
  }
  for (DeviceSpec& device : cluster.devices) {
    if (scenario.engines == 0) continue;
    device.slow_down_promote = static_cast<double>(scenario.slow_there);
    device.slow_down_demote = static_cast<double>(scenario.slow_back);
  }
  if (scenario.network != Pace{}) cluster.network = link(scenario.network);
  for (std::size_t d = 1; cluster.network && d < cluster.devices.size(); d += 2) {
    cluster.devices[d].node = "other";
  }
  Program program = shardlab::lower(made.workload, cluster, made.profile, made.plan);
  make_late(scenario, program);
  share_bases(scenario.jobs, program);
  if (scenario.host >= 0) {
    cluster.disk = {link(scenario.read), link(scenario.write)};
    cluster.host_memory = largest_item(program) + scenario.host;
  }
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    if (scenario.spare[d] < 0) continue;
    cluster.devices[d].memory = instances::tight_budget(program) + scenario.spare[d];
  }
  return {std::move(program), std::move(cluster)};
}

Bytes largest_item(const Program& program) {
  Bytes most = 0;
  for (const JobProgram& job : program.jobs) {
    for (const Item& item : job.items) {
      const bool stays = job.held && item.kind == ItemKind::kGraph;
      if (!stays) most = std::max(most, item.bytes);
    }
  }
  return most;
}

// Drawing.

namespace {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : generator_(seed) {}
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(generator_() % static_cast<std::uint64_t>(n));
  }
  std::int64_t from_one(std::int64_t most) { return 1 + below(most); }
  bool once_in(std::int64_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 generator_;
};

/// Shards in turn on the devices from a drawn one on, replica after replica.
void bind(Draw& draw, std::int64_t devices, ScenarioJob& job) {
  const std::int64_t first = draw.below(devices);
  const bool whole = job.strategy == Strategy::kZeroOffload;
  const auto shards = whole ? 1 : static_cast<std::int64_t>(job.shards.size());
  for (std::int64_t i = 0; i < job.replicas * shards; ++i) {
    job.bound.push_back((first + i) % devices);
  }
}

void draw_layout(Draw& draw, std::int64_t devices, ScenarioJob& job) {
  job.shards.resize(static_cast<std::size_t>(draw.from_one(4)));
  if (draw.once_in(2)) return;  // It spills.
  job.strategy = static_cast<Strategy>(1 + draw.below(6));
  job.recompute = !draw.once_in(2);
  if (job.strategy == Strategy::kResident && draw.once_in(2)) return;
  if (job.strategy != Strategy::kInterleaved) job.replicas = draw.from_one(2);
  if (pipelined(job.strategy)) job.microbatches = draw.from_one(4);
  if (job.strategy == Strategy::kInterleaved) {
    job.shards.resize(static_cast<std::size_t>(devices * draw.from_one(2)));
    job.microbatches = devices * draw.from_one(2);
  }
  if (job.strategy == Strategy::kResident && job.replicas == 1) return;
  bind(draw, devices, job);
}

ScenarioJob draw_job(Draw& draw, const Scenario& scenario, std::int64_t longest, Bytes largest) {
  ScenarioJob job;
  job.minibatches = draw.from_one(3);
  draw_layout(draw, static_cast<std::int64_t>(scenario.spare.size()), job);
  for (Shard& shard : job.shards) {
    for (std::size_t n = 0; n < kShardNumbers.size(); ++n) {
      shard.*kShardNumbers[n] = draw.from_one(n < 5 ? longest : largest);
    }
    if (!draw.once_in(4)) shard.late = 0;
  }
  if (draw.once_in(3)) job.frozen = draw.below(static_cast<std::int64_t>(job.shards.size()));
  const bool chain = is_chain(job.strategy, static_cast<int>(job.replicas));
  const bool bound = !job.bound.empty() || scenario.network == Pace{};
  if (chain && bound && draw.once_in(3)) job.host_step = draw.from_one(longest);
  return job;
}

}  // namespace

Scenario draw(std::uint64_t seed, const std::string& policy) {
  Draw draw(seed);
  Scenario made;
  made.policy = policy;
  made.slots = draw.from_one(3);
  made.admit = draw.once_in(3) ? draw.from_one(3) : 0;
  made.engines = draw.below(3);
  const bool unlimited = draw.once_in(6);
  for (std::int64_t d = draw.from_one(4); d > 0; --d) {
    made.spare.push_back(unlimited ? -1 : draw.below(30));
  }
  if (!draw.once_in(3)) made.link = {draw.below(5), draw.below(4)};
  made.back = draw.once_in(2) ? made.link : Pace{draw.below(9), draw.below(4)};
  if (draw.once_in(2)) made.copy = {draw.below(3), draw.below(2)};
  if (draw.once_in(4)) made.network = {draw.from_one(5), draw.below(4)};
  if (draw.once_in(2)) made.peer = {draw.below(5), draw.below(4)};
  made.dispatch = draw.below(4);
  made.loaded = draw.once_in(2) ? 100 : 150;
  const std::int64_t longest = draw.once_in(3) ? 3 : 20;  // Short ones often end together.
  const std::int64_t arrivals = draw.once_in(2) ? draw.from_one(100) : 1;
  for (std::int64_t j = draw.from_one(6); j > 0; --j) {
    made.jobs.push_back(draw_job(draw, made, longest, 16));
    made.jobs.back().arrival = draw.below(arrivals);
  }
  if (draw.once_in(3)) {
    const std::int64_t some = draw.from_one(static_cast<std::int64_t>(made.spare.size()));
    while (std::ssize(made.buffers) < some) made.buffers.push_back(draw.below(4));
  }
  if (draw.once_in(3)) {
    for (ScenarioJob& job : made.jobs) job.priority = draw.below(3);
  }
  return made;
}

Scenario draw_with_disk(std::uint64_t seed, const std::string& policy) {
  Scenario made = draw(seed, policy);
  for (ScenarioJob& job : made.jobs) job.host_step = 0;  // Not above a disk.
  Draw draw(~seed);
  made.host = draw.below(draw.once_in(2) ? 20 : 100);
  if (!draw.once_in(4)) made.read = {draw.below(5), draw.below(4)};
  made.write = draw.once_in(2) ? made.read : Pace{draw.below(9), draw.below(4)};
  return made;
}

Scenario draw_crowded(std::uint64_t seed, const std::string& policy) {
  Draw draw(~seed);
  Scenario made = draw.once_in(3) ? draw_with_disk(seed, policy) : scenarios::draw(seed, policy);
  made.slots = 1 + draw.from_one(2);
  made.admit = 0;
  while (made.spare.size() > 3) made.spare.pop_back();
  made.buffers.clear();
  made.jobs.clear();
  // Seldom do two ends come together: else the short cuts for those that come alone are not taken.
  for (std::int64_t j = 3 + draw.from_one(9); j > 0; --j) {
    made.jobs.push_back(draw_job(draw, made, 2000, 16));
    if (made.host >= 0) made.jobs.back().host_step = 0;  // Not above a disk.
  }
  return made;
}

Scenario draw_mixed(std::uint64_t seed, const std::string& policy) {
  Draw draw(~seed);
  Scenario made = draw.once_in(2) ? draw_crowded(seed, policy) : scenarios::draw(seed, policy);
  for (std::size_t d = 0; d < made.spare.size() && !draw.once_in(4); ++d) {
    made.speeds.push_back(std::array<std::int64_t, 4>{200, 100, 50, 30}.at(draw.below(4)));
  }
  made.slow_there = std::int64_t{1} << draw.below(3);
  made.slow_back = std::int64_t{1} << draw.below(3);
  const bool shares = made.host < 0 && draw.once_in(2);
  for (ScenarioJob& job : made.jobs) {
    if (!shares || job.shards.size() < 2) continue;
    job.base = draw.below(3);
    job.frozen = draw.from_one(static_cast<std::int64_t>(job.shards.size()) - 1);
  }
  return made;
}

void draw_absences(std::uint64_t seed, bool for_good, Cluster& cluster) {
  std::mt19937_64 draws(seed);
  const auto upto = [&](std::uint64_t most) {
    return Duration{1 + static_cast<std::int64_t>(draws() % most)};
  };
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    Instant at{};
    for (std::uint64_t times = draws() % 4; times > 0; --times) {
      cluster.devices[d].leaves.push_back(at += upto(120));
      at += upto(60);
      if (for_good && d > 0 && draws() % 4 == 0) break;
      cluster.devices[d].returns.push_back(at);
    }
  }
}

// Printing.

namespace {

std::string name_of(Strategy strategy) {
  static constexpr std::array kNames = {"Spill",    "Resident",    "ModelParallel", "Gpipe",
                                        "OneFOneB", "Interleaved", "ZeroOffload"};
  return std::string("Strategy::k") + kNames.at(static_cast<std::size_t>(strategy));
}

std::string text(const Pace& pace) {
  return fmt::format("{{{}, {}}}", pace.latency, pace.per_byte);
}

std::string text(const Shard& shard) {
  std::vector<std::int64_t> numbers;
  for (const auto number : kShardNumbers) numbers.push_back(shard.*number);
  return fmt::format("{{{}}}", fmt::join(numbers, ", "));
}

std::string text(const ScenarioJob& job) {
  std::vector<std::string> shards;
  for (const Shard& shard : job.shards) shards.push_back(text(shard));
  return fmt::format("{{{}, {}, {}, {}, {{{}}}, {{{}}}, {}, {}, {}, {}, {}, {}}}",
                     name_of(job.strategy), job.recompute, job.arrival, job.minibatches,
                     fmt::join(shards, ", "), fmt::join(job.bound, ", "), job.microbatches,
                     job.replicas, job.frozen, job.host_step, job.priority, job.base);
}

}  // namespace

std::string to_string(const Scenario& scenario) {
  std::vector<std::string> jobs;
  for (const ScenarioJob& job : scenario.jobs) jobs.push_back("\n      " + text(job));
  return fmt::format(
      "Scenario{{\n    .policy = \"{}\", .slots = {}, .admit = {}, .engines = {},\n"
      "    .spare = {{{}}}, .buffers = {{{}}}, .speeds = {{{}}},\n"
      "    .slow_there = {}, .slow_back = {},\n"
      "    .link = {}, .back = {}, .copy = {}, .peer = {},\n"
      "    .network = {}, .host = {}, .read = {}, .write = {}, .dispatch = {}, .loaded = {},\n"
      "    .jobs = {{{}}}}}",
      scenario.policy, scenario.slots, scenario.admit, scenario.engines,
      fmt::join(scenario.spare, ", "), fmt::join(scenario.buffers, ", "),
      fmt::join(scenario.speeds, ", "), scenario.slow_there, scenario.slow_back,
      text(scenario.link), text(scenario.back), text(scenario.copy), text(scenario.peer),
      text(scenario.network), scenario.host, text(scenario.read), text(scenario.write),
      scenario.dispatch, scenario.loaded, fmt::join(jobs, ","));
}

}  // namespace shardlab::scenarios
