#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/engine.h"
#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/own_process.h"
#include "cli/profile_report.h"
#include "cli/recording.h"
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
  std::string add_records;  ///< A profile.
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

bool is_cpu(const Cluster& cluster) {
  return !cluster.devices.empty() && cluster.devices.front().kind == "cpu";
}

/// Only that, in this process.
int add_records(const Options& options, const Workload& workload, const Cluster& cluster) {
  if (is_cpu(cluster)) {
    throw Error(options.paths.cluster +
                ": activity records are of GPUs; its devices are the CPU's");
  }
  refuse_unwritable_file(options.add_records);
  Profile profile = read_profile(options.add_records);
  const auto engine = load_engine();
  ProgressLine line;
  in_context(options.add_records, [&] {
    engine->add_records(workload, cluster, profile,
                        [&](double, const std::string& doing) { line.update(doing); });
  });
  write_profile(options.add_records, profile);
  line.clear();
  print_text(profile_text(profile));
  return 0;
}

/// What the process that records is asked for, but the profile.
std::vector<std::string> recording_arguments(const Options& options) {
  std::vector<std::string> arguments{"profile", options.paths.workload, options.paths.cluster};
  if (!options.parts.empty()) {
    arguments.insert(arguments.end(),
                     {"--parts", fmt::format("{}", fmt::join(options.parts, ","))});
  }
  return arguments;
}

int profile_workload(const Options& options) {
  const Workload workload = with_parts(read_workload(options.paths.workload), options.parts);
  const Cluster cluster = read_cluster(options.paths.cluster);
  if (is_emulated(cluster)) {
    throw Error(options.paths.cluster +
                ": kind: emulated devices compute nothing that could be measured; profile the "
                "devices that they stand for");
  }
  if (!options.add_records.empty()) return add_records(options, workload, cluster);
  refuse_unwritable_file(options.output);
  const auto engine = load_engine();
  Profile found = profile_with_progress(*engine, workload, cluster, options.profile);
  if (!is_cpu(cluster)) {
    const Duration limit = recording_limit(found);
    found = with_records(std::move(found), kThisCommand, recording_arguments(options), limit);
  }
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
      ->check(positive())
      ->capture_default_str();
  app.add_option("--rounds", options->profile.max_rounds, "the most rounds over all models")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option_function<double>(
         "--interval", [options](double percent) { options->profile.interval = percent / 100; },
         "no round is begun once the 95 % intervals of all minibatches' medians are narrower than "
         "this to either side, in percent (2)")
      ->check(number_up_to(100));
  app.add_option("--parts", options->parts,
                 "also measure these parts of each batch, as microbatches and replicas take them: "
                 "gpipe(2,8) 8, data_parallel(2,gpipe(2,8)) 16")
      ->delimiter(',')
      ->check(CLI::Range(2, kMostParts));
  app.add_option(
         "--add-records", options->add_records,
         "measure no times: only record a GPU's kernels and add them to this profile of the "
         "same workload")
      ->check(CLI::ExistingFile);
  add_json_flag(app, options->json);
  app.footer(
      "Examples:\n  shardlab profile workload.toml cluster.toml -o profile.json\n"
      "  shardlab profile workload.toml cluster.toml --parts 4,8 -o profile.json");
  return [options] { return profile_workload(*options); };
}

}  // namespace shardlab
