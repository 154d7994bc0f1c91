#include "sched/lower.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "sched/limits.h"
#include "sched/link.h"
#include "sched/lower_tracks.h"
#include "sched/partitioned.h"
#include "sched/phases.h"
#include "sched/shared_base.h"
#include "sched/step_place.h"

namespace shardlab {
namespace {

/// Lowers one job whose minibatches are chains. K shards; items are laid out kind by kind, see
/// item_index.
class ChainLowering {
 public:
  ChainLowering(const JobPlan& plan, const Cluster& cluster, const Profile& profile,
                std::vector<ShardCost> costs, std::vector<bool> host_steps)
      : plan_(plan),
        cluster_(cluster),
        profile_(profile),
        shards_(plan.shards()),
        costs_(std::move(costs)),
        host_steps_(std::move(host_steps)) {
    program_.resident = plan.strategy == Strategy::kResident;
    program_.held = program_.resident || plan.keeps_graphs();
  }

  JobProgram lower() {
    add_items();
    for (int s = 0; s + 1 < shards_; ++s) program_.units.push_back(forward(s));
    program_.units.push_back(backward(shards_ - 1));
    for (int s = shards_ - 2; s >= 0 && cost(s).backward; --s) {
      program_.units.push_back(backward(s));
    }
    for (int s = 0; s < shards_ && !host_steps_.empty(); ++s) {
      program_.host_step.push_back(cost(s).host_step.value_or(Duration{}));
    }
    if (program_.held) set_peaks();
    return std::move(program_);
  }

 private:
  [[nodiscard]] bool host_steps(int shard) const {
    return !host_steps_.empty() && host_steps_[static_cast<std::size_t>(shard)];
  }
  [[nodiscard]] const ShardCost& cost(int shard) const {
    return costs_[static_cast<std::size_t>(shard)];
  }
  [[nodiscard]] DeviceId device(int shard) const {
    return plan_.device.empty() ? kNoDevice : plan_.device[static_cast<std::size_t>(shard)];
  }
  [[nodiscard]] ItemIndex item(ItemKind kind, int shard) const {
    // The last kind; without weight gradients, which come before it.
    if (kind == ItemKind::kFrozen) kind = ItemKind::kWeightGradient;
    return item_index(kind, shard, shards_);
  }

  /// Activation s is the output of shard s, gradient s that of the loss with respect to it.
  void add_items() {
    for (const ItemKind kind : {ItemKind::kParameters, ItemKind::kState, ItemKind::kActivation,
                                ItemKind::kGradient, ItemKind::kGraph}) {
      for (int s = 0; s < shards_; ++s) program_.items.push_back(make_item(kind, s));
    }
    const auto frozen = [](const ShardCost& shard) { return shard.frozen > 0; };
    if (std::none_of(costs_.begin(), costs_.end(), frozen)) return;
    for (int s = 0; s < shards_; ++s) program_.items.push_back(make_item(ItemKind::kFrozen, s));
  }

  [[nodiscard]] Item make_item(ItemKind kind, int s) const {
    switch (kind) {
      case ItemKind::kParameters: {
        Item item{kind, s, cost(s).parameters, true, device(s)};
        item.host_steps = host_steps(s);
        return item;
      }
      case ItemKind::kState:
        return {kind, s, cost(s).state, true, device(s)};
      case ItemKind::kActivation:
        return {kind, s, cost(s).output, false, s + 1 < shards_ ? device(s + 1) : kNoDevice};
      case ItemKind::kGradient:
        return {kind, s, cost(s).backward ? cost(s).output : 0, false, device(s)};
      case ItemKind::kGraph:
        // The fused unit of the last shard leaves none.
        return {kind, s, s + 1 < shards_ && !plan_.recomputes(s) ? cost(s).graph : 0, false,
                device(s)};
      case ItemKind::kWeightGradient:
        break;  // Part of the workspace of a unit that steps itself.
      case ItemKind::kFrozen:
        return {kind, s, cost(s).frozen, true, device(s)};
    }
    return {};
  }

  [[nodiscard]] Unit pass(UnitKind kind, int s) const {
    Unit unit;
    unit.kind = kind;
    unit.shard = s;
    unit.bound = device(s);
    Phases phases = phases_of(kind, s, plan_);
    phases.step = phases.step && !host_steps(s);
    unit.alone = unit_cost(cost(s).alone, phases, profile_.alone.unit_overhead);
    unit.loaded = unit_cost(cost(s).loaded, phases, profile_.loaded.unit_overhead);
    return unit;
  }

  [[nodiscard]] Unit forward(int s) const {
    Unit unit = pass(UnitKind::kForward, s);
    unit.workspace = cost(s).forward_workspace + cost(s).tokens;
    if (cost(s).frozen > 0) unit.reads.add(item(ItemKind::kFrozen, s));
    if (cost(s).steps()) unit.reads.add(item(ItemKind::kParameters, s));
    if (s > 0) unit.reads.add(item(ItemKind::kActivation, s - 1));
    if (s > 0 && !cost(s).backward) unit.consumes.add(item(ItemKind::kActivation, s - 1));
    unit.creates.add(item(ItemKind::kActivation, s));
    if (!plan_.recomputes(s) && cost(s).backward) unit.creates.add(item(ItemKind::kGraph, s));
    return unit;
  }

  /// The last shard's unit is fused: its recorded forward is the first, not a repetition.
  [[nodiscard]] Unit backward(int s) const {
    const bool fused = s == shards_ - 1;
    const bool kept = !fused && !plan_.recomputes(s);
    Unit unit = pass(fused ? UnitKind::kFused : UnitKind::kBackward, s);
    unit.workspace = cost(s).backward_workspace + cost(s).tokens - (kept ? cost(s).graph : 0);
    if (cost(s).frozen > 0) unit.reads.add(item(ItemKind::kFrozen, s));
    for (const ItemKind kind : {ItemKind::kParameters, ItemKind::kState}) {
      if (!cost(s).steps() || (kind == ItemKind::kState && host_steps(s))) continue;
      unit.reads.add(item(kind, s));
      unit.writes.add(item(kind, s));
    }
    const auto uses_up = [&](ItemKind kind, int shard) {
      unit.reads.add(item(kind, shard));
      unit.consumes.add(item(kind, shard));
    };
    if (s > 0) uses_up(ItemKind::kActivation, s - 1);
    if (!fused) uses_up(ItemKind::kGradient, s);
    if (kept) uses_up(ItemKind::kGraph, s);
    if (s > 0 && cost(s).backward_below) unit.creates.add(item(ItemKind::kGradient, s - 1));
    return unit;
  }

  /// All items with their device, plus the largest workspace there.
  void set_peaks() {
    program_.peak.assign(cluster_.devices.size(), 0);
    const auto where = [](DeviceId bound) { return bound == kNoDevice ? 0 : index(bound); };
    for (const Item& item : program_.items) {
      const bool stays = item.kind == ItemKind::kState && host_steps(item.shard);
      if (!stays) program_.peak[where(item.only_reader)] += item.bytes;
    }
    for (const Item& item : program_.items) {  // An output is made where it is not read.
      if (item.kind != ItemKind::kActivation && item.kind != ItemKind::kGradient) continue;
      const int maker = item.kind == ItemKind::kActivation ? item.shard : item.shard + 1;
      if (maker < shards_ && device(maker) != item.only_reader) {
        program_.peak[where(device(maker))] += item.bytes;
      }
    }
    std::vector<Bytes> workspace(program_.peak.size());
    for (const Unit& unit : program_.units) {
      workspace[where(unit.bound)] = std::max(workspace[where(unit.bound)], unit.workspace);
    }
    for (std::size_t d = 0; d < workspace.size(); ++d) program_.peak[d] += workspace[d];
  }

  const JobPlan& plan_;
  const Cluster& cluster_;
  const Profile& profile_;
  int shards_;
  std::vector<ShardCost> costs_;
  std::vector<bool> host_steps_;  ///< By shard; empty: none.
  JobProgram program_;
};

/// `like`, if given, is the same job lowered by other costs, which say where it steps.
JobProgram lower_job(const Job& job, const JobPlan& plan, const Cluster& cluster,
                     const Profile& profile, const JobProgram* like = nullptr) {
  std::vector<ShardCost> costs = cut(job, plan, cluster, profile);
  std::vector<bool> on_host =
      like == nullptr ? host_steps(job, plan, cluster, profile, costs) : shards_on_host(*like);
  JobProgram program =
      is_chain(plan.strategy, plan.replicas)
          ? ChainLowering(plan, cluster, profile, std::move(costs), std::move(on_host)).lower()
          : lower_tracks(plan, cluster, profile, std::move(costs));
  program.name = job.name;
  program.minibatches = job.minibatches;
  program.done = job.done;
  program.arrival = Instant{job.arrival};
  program.priority = job.priority;
  program.units.shrink_to_fit();  // A million jobs should fit in memory.
  program.items.shrink_to_fit();
  connect(program);
  return program;
}

/// What a unit of class 0 takes on a device of this speed. The network is no faster for it.
UnitTimes at_speed(const Unit& unit, double speed) {
  const auto scaled = [&](Duration time) {
    if (unit.kind == UnitKind::kReduce) return time;
    return Duration{std::llround(static_cast<double>(time.count()) / speed)};
  };
  const auto cost = [&](const UnitCost& at) {
    return UnitCost{scaled(at.total), scaled(at.recompute)};
  };
  return {cost(unit.alone), cost(unit.loaded)};
}

const Profile& profile_of(const Profile& profile, const std::string& name) {
  if (name.empty()) return profile;
  const auto found = profile.others.find(name);
  if (found != profile.others.end()) return *found->second;
  throw Error(
      fmt::format("a device has costs = \"{}\", but no profile is called so; give it "
                  "with -p {}=FILE",
                  name, name));
}

/// The times of all units on the devices that are not of class 0, which have the profile's own
/// costs and speed 1.
void add_classes(Program& program, const Workload& workload, const Cluster& cluster,
                 const Profile& profile, const Plan& plan) {
  using Class = std::pair<std::string, double>;
  std::map<Class, std::uint16_t> known{{{"", 1.0}, 0}};
  for (const DeviceSpec& device : cluster.devices) {
    const auto next = static_cast<std::uint16_t>(known.size());
    const auto [entry, fresh] = known.emplace(Class{device.costs, device.speed}, next);
    program.class_of.push_back(entry->second);
    if (!fresh) continue;
    auto& times = program.times.emplace_back();
    const Profile& costs = profile_of(profile, device.costs);
    for (std::size_t j = 0; j < plan.jobs.size(); ++j) {
      const JobProgram job =
          lower_job(workload.jobs[j], plan.jobs[j], cluster, costs, &program.jobs[j]);
      auto& units = times.emplace_back();
      for (const Unit& unit : job.units) units.push_back(at_speed(unit, device.speed));
    }
  }
  if (known.size() == 1) program.class_of.clear();
}

}  // namespace

Program lower(const Workload& workload, const Cluster& cluster, const Profile& profile,
              const Plan& plan) {
  if (plan.jobs.size() != workload.jobs.size()) {
    throw Error(fmt::format("the plan has {} jobs, the workload {}", plan.jobs.size(),
                            workload.jobs.size()));
  }
  if (plan.slots < 1 || plan.slots > kMostSlots) {
    throw Error(fmt::format("slots: {}; a device has 1 to {}", plan.slots, kMostSlots));
  }
  refuse_missing(profile, {}, host_costs_of(cluster));
  Program program;
  program.admit = plan.admit;
  program.slots = plan.slots;
  program.checkpoints = plan.checkpoints;
  program.copy_alone = profile.alone.copy;
  program.copy_loaded = profile.loaded.copy;
  program.dispatch_alone = profile.alone.dispatch;
  program.dispatch_loaded = profile.loaded.dispatch;
  const bool one_job = plan.admit == 1 || plan.jobs.size() == 1;
  Bytes memory = 0;
  for (std::size_t j = 0; j < plan.jobs.size(); ++j) {
    JobProgram job = lower_job(workload.jobs[j], plan.jobs[j], cluster, profile);
    // As the Driver says.
    expect(job, cluster.devices.size() == 1 || (one_job && tracks_of(job).size() == 1));
    memory += memory_of(job);
    refuse_too_large(memory, j + 1, plan.jobs.size());
    program.jobs.push_back(std::move(job));
  }
  add_classes(program, workload, cluster, profile, plan);
  share_bases(workload, plan, program);
  refuse_endless(program, cluster);
  return program;
}

}  // namespace shardlab
