#include "cli/program_file.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/timeline.h"
#include "policies/bounds.h"
#include "sched/route.h"
#include "traces/atomic_file.h"
#include "traces/json_object.h"
#include "traces/plan_file.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

ordered_json device_json(DeviceId device) {
  return device == kNoDevice ? ordered_json() : ordered_json(index(device));
}

ordered_json link_json(const LinkSpec& link) {
  return {{"latency_ns", link.latency.count()}, {"bytes_per_second", link.bytes_per_second}};
}

ordered_json devices_json(const Program& program, const Cluster& cluster) {
  ordered_json all = ordered_json::array();
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    const DeviceSpec& device = cluster.devices[d];
    all.push_back({{"name", device.name},
                   {"class", program.class_of.empty() ? 0 : program.class_of[d]},
                   {"memory_bytes", json_bytes(device.memory)},
                   {"copy_engines", device.copy_engines},
                   {"link", link_json(device.link)},
                   {"back", link_json(device.link_back())},
                   {"peer", device.peer ? link_json(*device.peer) : ordered_json()}});
  }
  return all;
}

/// Per class of devices.
ordered_json times_json(const Program& program, JobId job, std::uint32_t unit, bool alone) {
  ordered_json times = ordered_json::array();
  for (std::size_t which = 0; which <= program.times.size(); ++which) {
    const UnitTimes each = times_of(program, which, job, unit);
    times.push_back((alone ? each.alone : each.loaded).total.count());
  }
  return times;
}

ordered_json list_json(const ItemList& items) {
  ordered_json list = ordered_json::array();
  for (const ItemIndex item : items) list.push_back(item);
  return list;
}

ordered_json units_json(const Program& program, JobId job) {
  ordered_json units = ordered_json::array();
  std::uint32_t number = 0;
  for (const Unit& unit : program.jobs[index(job)].units) {
    ordered_json after = ordered_json::array();
    for (const Dependency& on : unit.after) after.push_back({on.unit, on.lag});
    units.push_back({{"kind", to_string(unit.kind)},
                     {"shard", unit.shard},
                     {"device", device_json(unit.bound)},
                     {"alone_ns", times_json(program, job, number, true)},
                     {"loaded_ns", times_json(program, job, number, false)},
                     {"after", std::move(after)},
                     {"workspace_bytes", unit.workspace},
                     {"reads", list_json(unit.reads)},
                     {"writes", list_json(unit.writes)},
                     {"creates", list_json(unit.creates)},
                     {"consumes", list_json(unit.consumes)}});
    ++number;
  }
  return units;
}

ordered_json items_json(const JobProgram& job) {
  ordered_json items = ordered_json::array();
  for (const Item& item : job.items) {
    items.push_back(
        {{"kind", to_string(item.kind)},
         {"shard", item.shard},
         {"bytes", item.bytes},
         {"lasting", item.lasting},
         {"shared", item.shared == Item::kNotShared ? ordered_json() : ordered_json(item.shared)}});
  }
  return items;
}

ordered_json job_json(const Program& program, JobId id) {
  const JobProgram& job = program.jobs[index(id)];
  ordered_json tracks = ordered_json::array();
  for (const Track& track : tracks_of(job)) tracks.push_back({track.first, track.count});
  return {{"name", job.name},
          {"arrival_ns", job.arrival.time_since_epoch().count()},
          {"minibatches", job.minibatches},
          {"resident", job.resident},
          {"held", job.held},
          {"tracks", std::move(tracks)},
          {"units", units_json(program, id)},
          {"items", items_json(job)}};
}

/// What makes runs longer and is not in the file.
ordered_json left_out_json(const Program& program, const Cluster& cluster) {
  const auto any = [&](const auto& has) { return std::ranges::any_of(cluster.devices, has); };
  ordered_json names = ordered_json::array();
  if (cluster.disk) names.push_back("disk");
  if (any([](const DeviceSpec& device) { return device.parent != kNoSwitch; })) {
    names.push_back("switches");
  }
  if (!nodes_of(cluster).empty()) names.push_back("nodes");
  if (steps_on_host(program)) names.push_back("host_steps");
  if (program.dispatch_alone != program.dispatch_loaded) names.push_back("rest");
  if (any([](const DeviceSpec& device) {
        return device.slow_down_promote != 1 || device.slow_down_demote != 1;
      })) {
    names.push_back("slow_down");
  }
  return names;
}

/// Below which no run comes, however many jobs run at once: the exact search admits all.
Duration least_makespan(Program program, const Cluster& cluster) {
  program.admit = 0;
  return bounds(program, cluster).greatest();
}

}  // namespace

void write_program(const std::string& path, const Program& program, const Cluster& cluster,
                   const Plan& plan) {
  ordered_json jobs = ordered_json::array();
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    jobs.push_back(job_json(program, job_id(j)));
  }
  const auto copy = [](const CopyCost& cost) {
    return link_json({cost.latency, cost.bytes_per_second});
  };
  const ordered_json root{{"format", "shardlab-program"},
                          {"version", 1},
                          {"dispatch_alone_ns", program.dispatch_alone.count()},
                          {"dispatch_loaded_ns", program.dispatch_loaded.count()},
                          {"copy_alone", copy(program.copy_alone)},
                          {"copy_loaded", copy(program.copy_loaded)},
                          {"devices", devices_json(program, cluster)},
                          {"left_out", left_out_json(program, cluster)},
                          {"lower_bound_ns", least_makespan(program, cluster).count()},
                          {"jobs", std::move(jobs)},
                          {"plan", ordered_json::parse(plan_json(plan))}};
  write_file_atomically(path,
                        root.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace shardlab
