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
#include "core/plan.h"
#include "exec/emulated.h"
#include "sched/partitioned.h"
#include "traces/cluster_file.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

struct Options {
  InputPaths paths;
  std::string output = "profile.json";
  ProfileOptions profile;
  std::vector<int> parts;
  bool json = false;
};

/// All jobs, and the same again with a part of their batch.
Workload with_parts(Workload workload, const std::vector<int>& parts) {
  const std::vector<Job> whole = workload.jobs;
  for (const int part : parts) {
    for (Job job : whole) {
      job.batch = in_context(job.name, [&] { return microbatch_size(job.batch, part, 1); });
      job.name += fmt::format(", a part of {}", part);
      workload.jobs.push_back(std::move(job));
    }
  }
  return workload;
}

int profile_workload(const Options& options) {
  const Workload workload = with_parts(read_workload(options.paths.workload), options.parts);
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
  app.add_option("--parts", options->parts,
                 "also measure these parts of each batch, as microbatches and replicas take them: "
                 "gpipe(2,8) 8, data_parallel(2,gpipe(2,8)) 16")
      ->delimiter(',')
      ->check(CLI::Range(2, kMostParts));
  add_json_flag(app, options->json);
  app.footer(
      "Examples:\n  shardlab profile workload.toml cluster.toml -o profile.json\n"
      "  shardlab profile workload.toml cluster.toml --parts 4,8 -o profile.json");
  return [options] { return profile_workload(*options); };
}

}  // namespace shardlab
