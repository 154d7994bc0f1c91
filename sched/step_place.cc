#include "sched/step_place.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "sched/link.h"
#include "sched/partitioned.h"
#include "sched/route.h"

namespace shardlab {
namespace {

/// Why no shard of the job can step on the host; empty: they can.
std::string obstacle(const JobPlan& plan, const Cluster& cluster) {
  if (!is_chain(plan.strategy, plan.replicas)) {
    return "microbatches and replicas add up their gradients on devices, and step there; spill, "
           "resident and model_parallel can step on the host";
  }
  if (cluster.disk) return "with a disk below the host's memory only devices step";
  if (plan.device.empty() && !nodes_of(cluster).empty()) {
    return "with several nodes only shards that are bound to devices step on the host";
  }
  return "";
}

bool may_step(const ShardCost& cost) { return cost.steps() && cost.parameters > 0; }

void refuse_unknown(const Job& job, const Profile& profile, const std::vector<ShardCost>& costs) {
  for (std::size_t s = 0; s < costs.size(); ++s) {
    if (!may_step(costs[s]) || costs[s].host_step) continue;
    throw Error(fmt::format(
        "{}: optimizer_step: the profile {} does not know what a step on the host takes "
        "(host_step_ns of a layer of shard {}); profile again, or step on the device",
        job.name, profile.path, s));
  }
}

/// What a step takes on a device less what it takes on the host, copies included.
class Savings {
 public:
  Savings(const Job& job, const JobPlan& plan, const Cluster& cluster, const Profile& profile,
          const std::vector<ShardCost>& costs)
      : job_(job),
        plan_(plan),
        cluster_(with_measured_links(cluster, profile)),
        profile_(profile),
        costs_(costs),
        alone_(cluster.devices.size() == 1) {}

  /// Of all devices that may run the shard; none where one of them has the host's cores.
  [[nodiscard]] bool any(std::size_t shard) {
    Duration sum{};
    for (std::size_t d = 0; d < cluster_.devices.size(); ++d) {
      const bool runs = plan_.device.empty() || index(plan_.device[shard]) == d;
      if (!runs) continue;
      if (cluster_.devices[d].kind == "cpu") return false;
      sum += on(cluster_.devices[d], shard);
    }
    return sum > Duration{};
  }

 private:
  [[nodiscard]] Duration on(const DeviceSpec& device, std::size_t shard) {
    const ShardCost& cost = costs_[shard];
    const bool spills = plan_.strategy == Strategy::kSpill;
    const CopyCost by_lane = alone_ ? profile_.alone.copy : profile_.loaded.copy;
    const auto copy = [&](Bytes bytes, bool there) {
      const Duration link = transfer_time(bytes, there ? device.link : device.link_back());
      return device.copy_engines > 0 ? link : link + transfer_time(bytes, by_lane);
    };
    Duration device_time = step(device, shard), host_time = *cost.host_step;
    if (spills) {
      if (cost.state > 0) device_time += copy(cost.state, true) + copy(cost.state, false);
      device_time += copy(cost.parameters, false);
    } else {
      host_time += copy(cost.parameters, true);
    }
    host_time += copy(cost.parameters, false);
    return device_time - host_time;
  }

  [[nodiscard]] Duration step(const DeviceSpec& device, std::size_t shard) {
    const std::vector<ShardCost>* costs = &costs_;
    if (const auto other = profile_.others.find(device.costs); other != profile_.others.end()) {
      const auto [entry, fresh] = others_.try_emplace(device.costs);
      if (fresh) entry->second = cut(job_, plan_, cluster_, *other->second);
      costs = &entry->second;
    }
    const ShardCost& cost = (*costs)[shard];
    const Duration time = alone_ ? cost.alone.step : cost.loaded.step;
    return round_up(static_cast<double>(time.count()) / device.speed);
  }

  const Job& job_;
  const JobPlan& plan_;
  const Cluster cluster_;
  const Profile& profile_;
  const std::vector<ShardCost>& costs_;
  const bool alone_;
  std::map<std::string, std::vector<ShardCost>> others_;  ///< By DeviceSpec::costs.
};

}  // namespace

std::vector<bool> host_steps(const Job& job, const JobPlan& plan, const Cluster& cluster,
                             const Profile& profile, const std::vector<ShardCost>& costs) {
  if (plan.step == StepPlace::kDevice) return {};
  const bool asked = plan.step == StepPlace::kHost;
  if (!asked &&
      std::ranges::none_of(costs, [](auto& cost) { return cost.host_step.has_value(); })) {
    return {};
  }
  const std::string why_not = obstacle(plan, cluster);
  if (!why_not.empty()) {
    if (!asked) return {};
    throw Error(fmt::format("{}: optimizer_step: \"host\" is not for {}: {}", job.name,
                            to_string(plan.strategy), why_not));
  }
  if (asked) refuse_unknown(job, profile, costs);
  const bool cpus = std::ranges::any_of(
      cluster.devices, [](const DeviceSpec& device) { return device.kind == "cpu"; });
  if (!asked && cpus && plan.device.empty()) return {};
  std::vector<bool> steps(costs.size());
  std::optional<Savings> savings;
  if (!asked) savings.emplace(job, plan, cluster, profile, costs);
  for (std::size_t s = 0; s < costs.size(); ++s) {
    const bool may = may_step(costs[s]) && costs[s].host_step;
    steps[s] = may && (asked || savings->any(s));
  }
  if (std::ranges::find(steps, true) == steps.end()) return {};
  return steps;
}

}  // namespace shardlab
