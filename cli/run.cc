#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/checkpoints.h"
#include "cli/checks.h"
#include "cli/emulation.h"
#include "cli/engine.h"
#include "cli/estimates.h"
#include "cli/output.h"
#include "cli/plan_options.h"
#include "cli/prediction.h"
#include "cli/terminal.h"
#include "cli/training.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "exec/emulated.h"
#include "exec/task_thread.h"
#include "policies/registry.h"
#include "policies/tuners.h"
#include "profiler/provenance.h"
#include "report/comparison.h"
#include "report/device_table.h"
#include "report/summary.h"
#include "report/table.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

struct Options {
  RunRequest request;
  std::string folder = "run-out", resume;
  bool records = false;
  bool accept_order = false;
  bool json = false;
  double watch_s = seconds(RunOptions{}.watch), watch_times = RunOptions{}.watch_times;
};

constexpr const char* kUsualCadence = "10min";

/// Without one there is nothing to compare, and the reasons why are all that counts.
bool any_minibatch(const Program& program, const Timeline& measured) {
  for (std::size_t j = 0; j < measured.ends.size(); ++j) {
    if (measured.ends[j].minibatches > program.jobs[j].done) return true;
  }
  return false;
}

/// What is said of the machine that ran it.
std::string machine_text(const Inputs& inputs, const Trained& trained) {
  if (is_emulated(inputs.machine)) {
    return fmt::format(
        "\nemulated: no job has losses or weights. A unit took {} beyond its time here while all "
        "devices worked, {} alone; the prediction holds that\n",
        format_duration(inputs.profile.loaded.dispatch),
        format_duration(inputs.profile.alone.dispatch));
  }
  const auto drift = trained.drift(inputs.profile);
  const std::string against =
      drift ? fmt::format("; {} while profiling: the machine drifted by {}",
                          format_duration(inputs.profile.provenance.fixed_work),
                          format_percent(*drift))
            : "";
  return fmt::format("\nfixed work took {} before and {} after the run{}\n",
                     format_duration(trained.work_before), format_duration(trained.work_after),
                     against);
}

/// Empty for an accelerator that is not there: it has no name but its kind, and the engine says so.
std::string device_here(const DeviceSpec& device) {
  const std::string name = describe_device(device);
  return name == device.kind ? "" : name;
}

/// The makespan that was predicted for jobs whose losses are those that were measured: nothing
/// where none was.
std::optional<Instant> tuned_by_measured(const Inputs& inputs, const Prediction& prediction,
                                         const Trained& trained) {
  if (is_emulated(inputs.machine)) return std::nullopt;
  const auto measured = [&](JobId job, std::int64_t minibatches) {
    return trained.losses.after(job, minibatches);
  };
  const auto tuner = make_recorded_tuner(inputs.workload, measured, inputs.decisions);
  const auto policy = make_policy(prediction.plan, prediction.program,
                                  inputs.cluster.devices.size(), Replay::Times::kKept);
  EstimatedCosts costs(prediction.program);
  return simulate(prediction.program, inputs.cluster, *policy, costs, nullptr, tuner.get())
      .makespan;
}

/// Whom a tuner stops depends on losses that no prediction knows, so the error is not split.
std::string tuned_text(const Inputs& inputs, const Prediction& prediction, const Trained& trained) {
  const Timeline& measured = trained.result.timeline;
  std::string text = fmt::format("\nmeasured {:.3f} s, predicted {:.3f} s with the losses of {}\n",
                                 seconds(measured.makespan), seconds(prediction.outcome.makespan),
                                 inputs.workload.early_stop->curves.empty()
                                     ? "a draw"
                                     : inputs.workload.early_stop->curves_file);
  if (const auto again = tuned_by_measured(inputs, prediction, trained)) {
    text += fmt::format(
        "with the measured losses the same plan is predicted to take {:.3f} s ({})\n",
        seconds(*again), format_percent(seconds(measured.makespan) / seconds(*again) - 1));
  }
  return text + device_table(measured, metrics(measured));
}

/// What ran twice is in no prediction.
std::string disturbed_text(const Trained& trained) {
  const Outcome& outcome = trained.result.outcome;
  const Timeline& measured = trained.result.timeline;
  return fmt::format("\nmeasured {:.3f} s; {}\n", seconds(measured.makespan),
                     lost_devices_text(outcome)) +
         device_table(measured, metrics(measured));
}

std::string end_text(const Options& options, const Inputs& inputs, const Prediction& prediction,
                     const Trained& trained) {
  const Timeline& measured = trained.result.timeline;
  std::string text = "\n" + losses_text(trained);
  if (measured.interrupted) {
    text += fmt::format("\ninterrupted after {:.3f} s\n", seconds(measured.makespan)) +
            device_table(measured, metrics(measured));
    if (!is_emulated(inputs.machine)) {
      text += fmt::format("\nshardlab run --resume {} goes on\n", options.folder);
    }
  } else if (inputs.workload.early_stop) {
    text += tuned_text(inputs, prediction, trained);
  } else if (!trained.undisturbed()) {
    text += disturbed_text(trained);
  } else if (any_minibatch(prediction.program, measured)) {
    text += "\n" +
            comparison_text(compare(prediction.program, inputs.cluster, prediction.plan, measured),
                            drawing_options(stdout));
  }
  if (trained.records) text += "\n" + records_text(trained);
  return text + machine_text(inputs, trained) +
         fmt::format(
             "written: {}/plan.json, predicted.json, timeline.json, trace.json, losses.json\n",
             options.folder);
}

nlohmann::ordered_json end_json(const Inputs& inputs, const Prediction& prediction,
                                const Trained& trained, const std::vector<std::string>& warnings) {
  const Timeline& measured = trained.result.timeline;
  nlohmann::ordered_json body = plan_properties_json(prediction.plan);
  if (!prediction.on_host.empty()) body["steps_on_host"] = steps_json(prediction);
  body["interrupted"] = measured.interrupted;
  body["predicted_s"] = seconds(prediction.outcome.makespan);
  body["measured_s"] = seconds(measured.makespan);
  body["emulated"] = is_emulated(inputs.machine);
  body["fixed_work_before_s"] = seconds(trained.work_before);
  body["fixed_work_after_s"] = seconds(trained.work_after);
  body["drift"] = nullptr;
  if (const auto drift = trained.drift(inputs.profile)) body["drift"] = *drift;
  body["dispatch_s"] = {{"alone", seconds(inputs.profile.alone.dispatch)},
                        {"loaded", seconds(inputs.profile.loaded.dispatch)}};
  body["jobs"] = losses_json(trained)["jobs"];
  body["utilization"] = utilization_json(measured);
  body["devices"] = devices_json(measured);
  body["devices_lost"] = trained.result.outcome.devices_lost;
  body["units_redone"] = trained.result.outcome.redone;
  body["unsaved"] = trained.unsaved();
  body["warnings"] = warnings;
  if (trained.records) body["records"] = records_json(trained);
  if (inputs.workload.early_stop) {
    const auto again = tuned_by_measured(inputs, prediction, trained);
    body["with_measured_losses_s"] = nullptr;
    if (again) body["with_measured_losses_s"] = seconds(*again);
  } else if (trained.complete() && trained.undisturbed() &&
             any_minibatch(prediction.program, measured)) {
    body["comparison"] =
        comparison_json(compare(prediction.program, inputs.cluster, prediction.plan, measured));
  }
  return body;
}

/// Of jobs whose final state is not on disk, and what to do; empty: all are.
std::string unsaved_text(const Options& options, const Trained& trained) {
  std::string text;
  for (const std::string& each : trained.unsaved()) text += each + "; ";
  if (text.empty()) return text;
  return fmt::format(
      "the final weights are not on disk of {}make room there, then shardlab run --resume {} goes "
      "on "
      "from the checkpoints before",
      text, options.folder);
}

void write_results(const Options& options, const Prediction& prediction, const Trained& trained,
                   const std::string& unsaved) {
  std::exception_ptr failed;
  {  // On a thread of its own, so that a disk that stands still is said.
    TaskThread writer([&](std::exception_ptr failure) { failed = std::move(failure); });
    writer.add([&] { write_run(options.folder, prediction, trained); });
    if (!writer.done_within(std::chrono::seconds(1))) {
      print_warnings({"waiting for the disk: " + options.folder + " is still being written"});
    }
  }
  try {
    if (failed) std::rethrow_exception(failed);
  } catch (const Error& failure) {
    if (unsaved.empty()) throw;
    throw Error(failure.what() + ("; " + unsaved));
  }
}

/// What was given, and of a run that goes on what is left to say.
RunRequest complete(const Options& options, const RunFolder& folder) {
  RunRequest request = options.request;
  if (!options.resume.empty()) request.fill_in(folder.request());
  if (request.paths.workload.empty() || request.paths.cluster.empty()) {
    throw UsageError("which WORKLOAD and CLUSTER? Give their files, or --resume FOLDER");
  }
  if (request.paths.profiles.empty()) throw UsageError("which costs? Give a profile with -p");
  if (!request.plan.one()) {
    throw UsageError("which plan? Give --strategy and --policy, or --plan");
  }
  return request;
}

Plan plan_of(const RunRequest& request, PlannedChoice& chosen) {
  Plan plan = std::move(*chosen.plan);
  if (!request.checkpoint_every.empty()) {
    plan.checkpoints = parse_checkpoint_rule(request.checkpoint_every);
  } else if (!plan.checkpoints.any()) {
    plan.checkpoints = parse_checkpoint_rule(kUsualCadence);
  }
  return plan;
}

/// From what its order was made for. A run keeps the order and not its times, and emulated devices
/// have another overhead in every run: so not by less than a hundredth.
bool departs_noticeably(const Prediction& prediction) {
  if (prediction.departure.empty()) return false;
  const double made_for = seconds(prediction.plan.makespan);
  return made_for == 0 || std::abs(seconds(prediction.outcome.makespan) / made_for - 1) > 0.01;
}

int run_workload(Options options) {
  std::signal(SIGXFSZ, SIG_IGN);  // A file too large is an error like a full disk.
  if (!options.resume.empty()) options.folder = options.resume;
  RunFolder folder(options.folder);
  const RunRequest request = complete(options, folder);
  const bool had_ended = !options.resume.empty() && folder.has_ended();
  Inputs inputs = read_inputs(request.paths);
  const bool emulated = is_emulated(inputs.machine);
  if (emulated && !options.resume.empty()) {
    throw UsageError("--resume: a run on emulated devices trains nothing that could go on");
  }
  if (emulated && options.records) {
    throw UsageError("--records records a GPU; emulated devices have none");
  }
  if (options.resume.empty()) {
    folder.refuse_unfinished();
  } else {
    folder.resume(inputs.workload);
    inputs.decisions = folder.decisions();
  }
  // The machine's own overhead stands for the profile's, which is of another one.
  if (emulated) {
    in_context(request.paths.cluster, [&] { refuse_what_cannot_be_emulated(inputs.machine); });
    inputs.profile = with_dispatch(std::move(inputs.profile), measure_emulation(inputs.machine));
  }
  PlannedChoice chosen = planned(inputs, request.plan).front();
  const Prediction prediction =
      in_plan(request.plan, [&] { return predict(inputs, plan_of(request, chosen), true); });
  const auto engine = emulated ? nullptr : load_engine();
  std::vector<std::string> warnings;
  if (!options.accept_order) warnings = folder.refuse_other_parts(prediction.program);
  if (!emulated) {
    const std::string here = device_here(inputs.machine.devices.front());
    refuse_other_machine(inputs, here, engine->libtorch());
    const auto more = profile_warnings(inputs, here);
    warnings.insert(warnings.end(), more.begin(), more.end());
  }
  refuse_unwritable(options.folder);
  if (departs_noticeably(prediction)) {
    warnings.push_back(request.plan.plan + ": " + prediction.departure);
  }
  if (prediction.interval) warnings.push_back(estimate_text(inputs, *prediction.interval));
  print_warnings(warnings);
  if (!options.json) {
    print_text(folder.resumed_text(inputs.workload));
    print_text(fmt::format("{}: {} jobs on {} devices, predicted {:.3f} s\n{}",
                           prediction.plan.name, inputs.workload.jobs.size(),
                           inputs.cluster.devices.size(), seconds(prediction.outcome.makespan),
                           chosen.note.empty() ? "" : chosen.note + "\n") +
               steps_text(prediction));
  }
  Trained trained = train(engine.get(), inputs, prediction,
                          {.events = !options.json,
                           .records = options.records,
                           .folder = &folder,
                           .request = request,
                           .watch = Duration(std::llround(options.watch_s * 1e9)),
                           .watch_times = options.watch_times});
  const std::string unsaved = unsaved_text(options, trained);
  // Of a run that had ended, with nothing left to do, what it wrote stands.
  if (!had_ended || trained.result.outcome.units > 0) {
    write_results(options, prediction, trained, unsaved);
  }
  if (!trained.result.timeline.interrupted && unsaved.empty()) folder.end(request);
  time_again(engine.get(), inputs, trained);
  if (options.json) {
    warnings.insert(warnings.end(), trained.notices.begin(), trained.notices.end());
    print_json("run", end_json(inputs, prediction, trained, warnings));
  } else {
    print_text(end_text(options, inputs, prediction, trained));
  }
  if (!unsaved.empty()) throw Error(unsaved);  // The last line.
  return trained.complete() ? 0 : 1;
}

}  // namespace

Action declare_run(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_workload_and_cluster(app, options->request.paths);
  add_profile_file(app, options->request.paths);
  for (const char* known : {"WORKLOAD", "CLUSTER", "--profile"}) {
    app.get_option(known)->required(false);  // A run that goes on knows them.
  }
  add_plan_options(app, options->request.plan);
  CLI::Option* output = app.add_option("-o,--output", options->folder,
                                       "folder for plan, timeline, Chrome trace, losses and "
                                       "checkpoints")
                            ->capture_default_str()
                            ->check(not_empty());
  add_checkpoint_option(app, options->request.checkpoint_every, kUsualCadence);
  app.add_option("--resume", options->resume,
                 "go on with the run in this folder, from its checkpoints; what is not given is as "
                 "it was then")
      ->excludes(output)
      ->check(not_empty());
  app.add_flag("--accept-order", options->accept_order,
               "with --resume: go on although the plan has other microbatches or replicas, so that "
               "gradients are added up in another order and the weights are those of neither plan");
  app.add_flag("--records", options->records,
               "also record kernels and copies by CUPTI and say how they overlapped (a GPU)");
  app.add_option(
         "--watchdog", options->watch_s,
         "seconds after which a unit or copy that has not ended takes its device out of the "
         "run; 0: never")
      ->check(number_up_to(1e9))
      ->capture_default_str();
  app.add_option("--watchdog-times", options->watch_times,
                 "and only after so many times what it should take")
      ->check(number_up_to(1e9))
      ->capture_default_str();
  add_json_flag(app, options->json);
  app.footer(
      "Ctrl-C or SIGTERM stops it: each job comes to the end of its minibatch and is "
      "written to disk, from\n"
      "where --resume goes on, and the timeline so far is written; a second one ends it at "
      "once. Exit code 1\n"
      "then, and also when a job was stopped, or when its final weights could not be "
      "written.\n"
      "A run that was killed goes on from its checkpoints to the same weights, also on "
      "other devices\n"
      "of the kind or by another plan with as many microbatches and replicas.\n"
      "Examples:\n"
      "  shardlab run workload.toml cluster.toml -p profile.json --strategy spill --policy lrtf -o "
      "out\n"
      "  shardlab run --resume out");
  return [options] { return run_workload(*options); };
}

}  // namespace shardlab
