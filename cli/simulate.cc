#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/prediction.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "report/device_table.h"
#include "report/metrics.h"
#include "traces/chrome_trace.h"
#include "traces/plan_file.h"
#include "traces/timeline_file.h"

namespace shardlab {
namespace {

struct Options {
  InputPaths paths;
  PlanOptions plan;
  std::string timeline, save_plan, trace;
  bool json = false;

  [[nodiscard]] bool needs_timeline() const { return !timeline.empty() || !trace.empty(); }
};

void write_files(const Options& options, const Prediction& best) {
  if (!options.save_plan.empty()) write_plan(options.save_plan, best.plan);
  if (!options.timeline.empty()) write_timeline(options.timeline, best.timeline);
  const Timeline* timeline = &best.timeline;
  if (!options.trace.empty()) write_chrome_trace(options.trace, {&timeline, 1});
}

std::string one_plan_text(const Prediction& prediction) {
  const CompletionTimes completion = completion_times(prediction.outcome.jobs);
  const std::string jobs = fmt::format(
      "jobs took, from arrival to end: mean {:.3f} s, 95 % of them up to {:.3f} s, the longest "
      "{:.3f} s\n",
      completion.mean, completion.p95, completion.largest);
  if (prediction.timeline.units.empty()) {
    return jobs + fmt::format("no drawing: more than {} units\n", kMostSpans);
  }
  return jobs + "\n" + draw(prediction.timeline, drawing_options(stdout)) + "\n" +
         device_table(prediction.timeline, metrics(prediction.timeline));
}

int simulate_plans(const Options& options) {
  const Inputs inputs = read_inputs(options.paths);
  const auto warnings = profile_warnings(inputs, "");
  print_warnings(warnings);
  Ranking ranking = rank_plans(inputs, planned(inputs, options.plan));
  Prediction& best = ranking.predictions.front();
  if (options.needs_timeline() && best.timeline.units.empty())
    best = predict(inputs, best.plan, true);
  if (options.needs_timeline() && best.timeline.units.empty()) {
    throw Error(
        fmt::format("a timeline holds at most {} units; simulate fewer minibatches", kMostSpans));
  }
  write_files(options, best);
  if (options.json) {
    nlohmann::ordered_json body = ranking_json(ranking);
    body["warnings"] = warnings;
    print_json("simulate", body);
    return 0;
  }
  print_text(ranking_text(ranking));
  if (options.plan.one()) print_text(one_plan_text(best));
  return 0;
}

}  // namespace

Action declare_simulate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_workload_and_cluster(app, options->paths);
  add_profile_file(app, options->paths);
  add_plan_options(app, options->plan);
  app.add_option("-o,--timeline", options->timeline, "write the best plan's predicted timeline");
  app.add_option("--save-plan", options->save_plan, "write the best plan");
  app.add_option("--trace", options->trace, "write the best plan's Chrome trace, for Perfetto");
  add_json_flag(app, options->json);
  app.footer(
      "Without --strategy, --policy, --admit, --keep-activations and --plan it ranks all usual "
      "plans.\nExamples:\n"
      "  shardlab simulate workload.toml cluster.toml -p profile.json --save-plan best.json\n"
      "  shardlab simulate workload.toml cluster.toml -p profile.json --strategy spill --policy "
      "lrtf");
  return [options] { return simulate_plans(*options); };
}

}  // namespace shardlab
