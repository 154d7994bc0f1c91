#include <algorithm>
#include <memory>
#include <sched.h>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/engine.h"
#include "cli/output.h"
#include "cli/profile_report.h"
#include "cli/verbs.h"
#include "profiler/conditions.h"
#include "profiler/link_text.h"
#include "profiler/provenance.h"
#include "report/table.h"
#include "traces/cluster_file.h"
#include "traces/profile_file.h"

namespace shardlab {
namespace {

struct Options {
  std::string cluster;
  LinkOptions links;
  bool json = false;
};

std::string links_text(const std::vector<LinkCost>& links) {
  TextTable table({"device", "direction", "host memory", "latency µs", "GB/s", "residual %",
                   "GB/s shared", "copying at once"});
  for (const LinkCost& link : links) {
    const bool shared = link.shared_rate > 0;
    table.row({link.device, way_text(link),
               link.way == LinkWay::kToPeer ? "" : memory_text(link.pinned),
               fmt::format("{:.1f}", seconds(link.cost.latency) * 1e6),
               fmt::format("{:.2f}", link.cost.bytes_per_second * 1e-9),
               fmt::format("{:.1f}", 100 * link.residual),
               shared ? fmt::format("{:.2f}", link.shared_rate * 1e-9) : "",
               shared ? fmt::format("{}", link.copying) : ""});
  }
  return table.text();
}

std::string shared_text(const std::vector<SharedCopies>& shared) {
  if (shared.empty()) return "";
  TextTable table({"shared", "direction", "host memory", "copying at once", "GB/s each alone, sum",
                   "GB/s together", "contention"});
  for (const SharedCopies& each : shared) {
    table.row({each.through, each.ways, memory_text(each.pinned), fmt::format("{}", each.copying),
               fmt::format("{:.2f}", each.alone * 1e-9),
               fmt::format("{:.2f}", each.together * 1e-9),
               fmt::format("{:.2f}", each.contention())});
  }
  return "\n" + table.text();
}

std::string slow_down_text(const std::vector<CopySlowDown>& slow_downs) {
  if (slow_downs.empty()) return "";
  TextTable table({"computing beside a copy", "slow_down_promote", "slow_down_demote"});
  for (const CopySlowDown& each : slow_downs) {
    table.row(
        {each.device, fmt::format("{:.2f}", each.promote), fmt::format("{:.2f}", each.demote)});
  }
  return "\n" + table.text();
}

nlohmann::ordered_json json_of(const LinkCost& link) {
  auto sizes = nlohmann::ordered_json::array();
  for (const CopySample& size : link.sizes) {
    sizes.push_back({{"bytes", size.bytes}, {"time_ns", size.time.count()}});
  }
  nlohmann::ordered_json found{{"device", link.device}};
  if (link.way == LinkWay::kToPeer) {
    found["peer"] = link.peer;
  } else {
    found["to_device"] = link.way == LinkWay::kToDevice;
    found["pinned"] = link.pinned;
  }
  found["latency_ns"] = link.cost.latency.count();
  found["bytes_per_second"] = link.cost.bytes_per_second;
  found["residual"] = link.residual;
  if (link.shared_rate > 0) {
    found["shared_bytes_per_second"] = link.shared_rate;
    found["copying"] = link.copying;
  }
  found["sizes"] = std::move(sizes);
  return found;
}

nlohmann::ordered_json json_of(const SharedCopies& each) {
  return {{"through", each.through},
          {"ways", each.ways},
          {"pinned", each.pinned},
          {"copying", each.copying},
          {"alone_bytes_per_second", each.alone},
          {"together_bytes_per_second", each.together},
          {"contention", each.contention()}};
}

nlohmann::ordered_json json_of(const CopySlowDown& each) {
  return {{"device", each.device},
          {"slow_down_promote", each.promote},
          {"slow_down_demote", each.demote}};
}

template <typename Each>
nlohmann::ordered_json list(const std::vector<Each>& all) {
  auto result = nlohmann::ordered_json::array();
  for (const Each& each : all) result.push_back(json_of(each));
  return result;
}

/// CPUs that this process may run on.
int cpus() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/// Copies of CPU devices are made by threads: those that take turns on a CPU do not share a link.
std::vector<std::string> warnings(const Cluster& cluster, const LinkReport& found) {
  int most = 0;
  for (const SharedCopies& each : found.shared) most = std::max(most, each.copying);
  const bool copied_by_cpus = std::ranges::any_of(
      cluster.devices, [](const DeviceSpec& device) { return device.kind == "cpu"; });
  if (!copied_by_cpus || most <= cpus()) return {};
  return {
      fmt::format("up to {} copies at once on {} CPU{}: they take turns, so that contention, "
                  "shared rates and computing beside copies are not those of links",
                  most, cpus(), cpus() == 1 ? "" : "s")};
}

int measure(const Options& options) {
  const Cluster cluster = read_cluster(options.cluster);
  const auto engine = load_engine();
  const std::vector<Reading> before = read_conditions(cluster);
  const LinkReport found = engine->links(cluster, options.links);
  const std::vector<Condition> during = conditions(before, read_conditions(cluster));
  std::vector<std::string> cautions = warnings(cluster, found);
  for (const LinkCost& link : found.links) {
    if (std::string said = caution(link); !said.empty()) cautions.push_back(std::move(said));
  }
  print_warnings(cautions);
  if (options.json) {
    print_json("links", {{"machine", describe_device(cluster.devices.front())},
                         {"links", list(found.links)},
                         {"shared", list(found.shared)},
                         {"computing", list(found.slow_downs)},
                         {"cautions", cautions},
                         {"conditions", conditions_json(during)}});
  } else {
    print_text(links_text(found.links) + shared_text(found.shared) +
               slow_down_text(found.slow_downs) + "\n" + conditions_text(during));
  }
  return 0;
}

}  // namespace

Action declare_links(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("CLUSTER", options->cluster, "whose devices: a TOML file")->required();
  app.add_option("--rounds", options->links.rounds, "copies of each size")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  add_json_flag(app, options->json);
  app.footer(
      "Sizes from 64 KiB up, by least squares of relative errors; `residual` is the worst of "
      "them. `GB/s shared` is while\n"
      "all directions of all devices copy at once. `contention` is the sum of what each passes "
      "alone over what all pass\n"
      "together: for 2, 3 ... devices, for all, and below each switch of the cluster. Last, by "
      "how much longer a small\n"
      "model trains beside copies, as the cluster file wants it; and what the machine was like, "
      "before and afterwards.\n"
      "Example:\n"
      "  shardlab links cluster.toml");
  return [options] { return measure(*options); };
}

}  // namespace shardlab
