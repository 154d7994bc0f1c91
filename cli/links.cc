#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/engine.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "profiler/provenance.h"
#include "report/table.h"
#include "traces/cluster_file.h"

namespace shardlab {
namespace {

struct Options {
  std::string cluster;
  int rounds = 20;
  bool json = false;
};

std::string text(const std::vector<LinkCost>& links) {
  TextTable table({"device", "direction", "host memory", "latency µs", "GB/s", "residual %",
                   "GB/s shared", "copying at once"});
  for (const LinkCost& link : links) {
    table.row({link.device, link.to_device ? "to device" : "to host",
               link.pinned ? "page-locked" : "pageable",
               fmt::format("{:.1f}", seconds(link.cost.latency) * 1e6),
               fmt::format("{:.2f}", link.cost.bytes_per_second * 1e-9),
               fmt::format("{:.1f}", 100 * link.residual),
               fmt::format("{:.2f}", link.shared_rate * 1e-9), fmt::format("{}", link.copying)});
  }
  return table.text();
}

nlohmann::ordered_json json(const std::vector<LinkCost>& links) {
  auto list = nlohmann::ordered_json::array();
  for (const LinkCost& link : links) {
    auto sizes = nlohmann::ordered_json::array();
    for (const CopySample& size : link.sizes) {
      sizes.push_back({{"bytes", size.bytes}, {"time_ns", size.time.count()}});
    }
    list.push_back({{"device", link.device},
                    {"to_device", link.to_device},
                    {"pinned", link.pinned},
                    {"latency_ns", link.cost.latency.count()},
                    {"bytes_per_second", link.cost.bytes_per_second},
                    {"residual", link.residual},
                    {"shared_bytes_per_second", link.shared_rate},
                    {"copying", link.copying},
                    {"sizes", std::move(sizes)}});
  }
  return list;
}

int measure(const Options& options) {
  const Cluster cluster = read_cluster(options.cluster);
  const std::vector<LinkCost> links = load_engine()->links(cluster, options.rounds);
  if (options.json) {
    print_json("links",
               {{"machine", describe_device(cluster.devices.front())}, {"links", json(links)}});
  } else {
    print_text(text(links));
  }
  return 0;
}

}  // namespace

Action declare_links(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("CLUSTER", options->cluster, "whose devices: a TOML file")->required();
  app.add_option("--rounds", options->rounds, "copies of each size")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  add_json_flag(app, options->json);
  app.footer(
      "Sizes from 64 KiB up, by least squares of relative errors; `residual` is the worst of them. "
      "`GB/s shared` is while\nall directions of all devices copy at once.\n"
      "Example:\n  shardlab links cluster.toml");
  return [options] { return measure(*options); };
}

}  // namespace shardlab
