#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/estimates.h"
#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "report/comparison.h"
#include "report/summary.h"
#include "sched/lower.h"
#include "traces/plan_file.h"
#include "traces/timeline_file.h"

namespace shardlab {
namespace {

struct Options {
  InputPaths paths;
  std::string timeline, plan;
  bool json = false;
};

/// The plan that `run` leaves beside its timeline, where none is given.
std::string plan_path(const Options& options) {
  if (!options.plan.empty()) return options.plan;
  const auto beside = std::filesystem::path(options.timeline).parent_path() / "plan.json";
  if (std::filesystem::exists(beside)) return beside.string();
  throw Error(options.timeline + ": no plan.json beside it; give the plan of that run with --plan");
}

int compare_run(const Options& options) {
  const Inputs inputs = read_inputs(options.paths);
  refuse_early_stops(inputs.workload, options.paths.workload, "compare");
  const Timeline measured = read_timeline(options.timeline);
  const std::string path = plan_path(options);
  const Plan plan = read_plan(path);
  const Program program = in_context(
      path, [&] { return lower(inputs.workload, inputs.cluster, inputs.profile, plan); });
  if (const auto interval = estimated_interval(inputs, plan)) {
    print_warnings({estimate_text(inputs, *interval)});
  }
  const Comparison found = in_context(
      options.timeline, [&] { return compare(program, inputs.cluster, plan, measured); });
  if (options.json) {
    print_json("compare", comparison_json(found));
  } else {
    print_text(comparison_text(found, drawing_options(stdout)));
  }
  return 0;
}

}  // namespace

Action declare_compare(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_workload_and_cluster(app, options->paths);
  add_profile_file(app, options->paths);
  app.add_option("MEASURED", options->timeline, "timeline.json of shardlab run")->required();
  app.add_option("--plan", options->plan, "the run's plan (plan.json beside the timeline)");
  add_json_flag(app, options->json);
  app.footer(
      "Example:\n"
      "  shardlab compare workload.toml cluster.toml -p profile.json out/timeline.json");
  return [options] { return compare_run(*options); };
}

}  // namespace shardlab
