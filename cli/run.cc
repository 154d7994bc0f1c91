#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/engine.h"
#include "cli/estimates.h"
#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/prediction.h"
#include "cli/terminal.h"
#include "cli/training.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "profiler/provenance.h"
#include "report/comparison.h"
#include "report/device_table.h"
#include "report/summary.h"
#include "report/table.h"

namespace shardlab {
namespace {

struct Options {
  InputPaths paths;
  PlanOptions plan;
  std::string folder = "run-out";
  bool records = false;
  bool json = false;
};

/// Without one there is nothing to compare, and the reasons why are all that counts.
bool any_minibatch(const Timeline& measured) {
  return std::any_of(measured.ends.begin(), measured.ends.end(),
                     [](const JobEnd& end) { return end.minibatches > 0; });
}

/// Empty for an accelerator that is not there: it has no name but its kind, and the engine says so.
std::string device_here(const DeviceSpec& device) {
  const std::string name = describe_device(device);
  return name == device.kind ? "" : name;
}

std::string end_text(const Options& options, const Inputs& inputs, const Prediction& prediction,
                     const Trained& trained) {
  const Timeline& measured = trained.result.timeline;
  std::string text = "\n" + losses_text(trained);
  if (measured.interrupted) {
    text += fmt::format("\ninterrupted after {:.3f} s\n", seconds(measured.makespan)) +
            device_table(measured, metrics(measured));
  } else if (any_minibatch(measured)) {
    text += "\n" +
            comparison_text(compare(prediction.program, inputs.cluster, prediction.plan, measured),
                            drawing_options(stdout));
  }
  if (trained.records) text += "\n" + records_text(trained);
  const auto drift = trained.drift(inputs.profile);
  const std::string against =
      drift ? fmt::format("; {} while profiling: the machine drifted by {}",
                          format_duration(inputs.profile.provenance.fixed_work),
                          format_percent(*drift))
            : "";
  return text +
         fmt::format(
             "\nfixed work took {} before and {} after the run{}\n"
             "written: {}/plan.json, predicted.json, timeline.json, trace.json, losses.json\n",
             format_duration(trained.work_before), format_duration(trained.work_after), against,
             options.folder);
}

nlohmann::ordered_json end_json(const Inputs& inputs, const Prediction& prediction,
                                const Trained& trained, const std::vector<std::string>& warnings) {
  const Timeline& measured = trained.result.timeline;
  nlohmann::ordered_json body = plan_properties_json(prediction.plan);
  body["interrupted"] = measured.interrupted;
  body["predicted_s"] = seconds(prediction.outcome.makespan);
  body["measured_s"] = seconds(measured.makespan);
  body["fixed_work_before_s"] = seconds(trained.work_before);
  body["fixed_work_after_s"] = seconds(trained.work_after);
  body["drift"] = nullptr;
  if (const auto drift = trained.drift(inputs.profile)) body["drift"] = *drift;
  body["jobs"] = losses_json(trained)["jobs"];
  body["utilization"] = utilization_json(measured);
  body["devices"] = devices_json(measured);
  body["warnings"] = warnings;
  if (trained.records) body["records"] = records_json(trained);
  if (trained.complete()) {
    body["comparison"] =
        comparison_json(compare(prediction.program, inputs.cluster, prediction.plan, measured));
  }
  return body;
}

int run_workload(const Options& options) {
  if (!options.plan.one()) {
    throw UsageError("which plan? Give --strategy and --policy, or --plan");
  }
  const Inputs inputs = read_inputs(options.paths);
  refuse_early_stops(inputs.workload, options.paths.workload, "run");
  const PlannedChoice chosen = planned(inputs, options.plan).front();
  const Prediction prediction = predict(inputs, *chosen.plan, true);
  refuse_unwritable(options.folder);
  const auto engine = load_engine();
  const std::string here = device_here(inputs.machine.devices.front());
  refuse_other_machine(inputs, here, engine->libtorch());
  auto warnings = profile_warnings(inputs, here);
  if (prediction.interval) warnings.push_back(estimate_text(inputs, *prediction.interval));
  print_warnings(warnings);
  if (!options.json) {
    print_text(fmt::format("{}: {} jobs on {} devices, predicted {:.3f} s\n{}", chosen.plan->name,
                           inputs.workload.jobs.size(), inputs.cluster.devices.size(),
                           seconds(prediction.outcome.makespan),
                           chosen.note.empty() ? "" : chosen.note + "\n"));
  }
  const Trained trained =
      train(*engine, inputs, prediction, {.events = !options.json, .records = options.records});
  write_run(options.folder, prediction, trained);
  if (options.json) {
    print_json("run", end_json(inputs, prediction, trained, warnings));
  } else {
    print_text(end_text(options, inputs, prediction, trained));
  }
  return trained.complete() ? 0 : 1;
}

}  // namespace

Action declare_run(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_workload_and_cluster(app, options->paths);
  add_profile_file(app, options->paths);
  add_plan_options(app, options->plan);
  app.add_option("-o,--output", options->folder,
                 "folder for plan, timeline, Chrome trace and losses")
      ->capture_default_str();
  app.add_flag("--records", options->records,
               "also record kernels and copies by CUPTI and say how they overlapped (a GPU)");
  add_json_flag(app, options->json);
  app.footer(
      "Ctrl-C stops it cleanly and writes the timeline so far. Exit code 1 also when a job was "
      "stopped.\nExample:\n"
      "  shardlab run workload.toml cluster.toml -p profile.json --strategy spill --policy lrtf -o "
      "out");
  return [options] { return run_workload(*options); };
}

}  // namespace shardlab
