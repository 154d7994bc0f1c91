#include <memory>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/engine.h"
#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/profile_report.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "exec/emulated.h"
#include "traces/cluster_file.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

struct Options {
  InputPaths paths;
  std::string output = "profile.json";
  ProfileOptions profile;
  bool json = false;
};

int profile_workload(const Options& options) {
  const Workload workload = read_workload(options.paths.workload);
  const Cluster cluster = read_cluster(options.paths.cluster);
  if (is_emulated(cluster)) {
    throw Error(options.paths.cluster +
                ": kind: emulated devices compute nothing that could be measured; profile the "
                "devices that they stand for");
  }
  const auto engine = load_engine();
  const Profile found = profile_with_progress(*engine, workload, cluster, options.profile);
  write_profile(options.output, found);
  if (options.json) {
    print_json("profile", nlohmann::ordered_json::parse(profile_json(found)));
  } else {
    print_text(profile_text(found) + fmt::format("written: {}\n", options.output));
  }
  return 0;
}

}  // namespace

Action declare_profile(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_workload_and_cluster(app, options->paths);
  app.add_option("-o,--output", options->output, "where the costs go")->capture_default_str();
  app.add_option("--seconds", options->profile.seconds,
                 "how long to measure, at least three rounds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rounds", options->profile.max_rounds, "the most rounds over all models")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  add_json_flag(app, options->json);
  app.footer("Example:\n  shardlab profile workload.toml cluster.toml -o profile.json");
  return [options] { return profile_workload(*options); };
}

}  // namespace shardlab
