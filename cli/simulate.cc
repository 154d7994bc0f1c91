#include <cstddef>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/checkpoints.h"
#include "cli/noise.h"
#include "cli/order_search.h"
#include "cli/output.h"
#include "cli/plan_options.h"
#include "cli/program_file.h"
#include "cli/ranked_plans.h"
#include "cli/replication.h"
#include "cli/result.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/parallel.h"
#include "planning/search.h"
#include "policies/registry.h"
#include "policies/replay.h"
#include "report/device_table.h"
#include "report/metrics.h"
#include "report/table.h"
#include "sched/lower.h"
#include "traces/chrome_trace.h"
#include "traces/plan_file.h"
#include "traces/timeline_file.h"

namespace shardlab {
namespace {

struct Options {
  InputPaths paths;
  PlanOptions plan;
  std::string checkpoint_every;
  NoiseOptions noise;
  std::size_t threads = default_threads();
  std::string timeline, save_plan, save_program, trace;
  ResultOption result;
  bool with_order = false;
  bool metrics_only = false;
  bool json = false;

  [[nodiscard]] bool needs_timeline() const { return !timeline.empty() || !trace.empty(); }
};

void refuse_no_timeline(const Prediction& prediction) {
  if (!prediction.timeline.units.empty()) return;
  throw Error(
      fmt::format("a timeline holds at most {} units; simulate fewer minibatches", kMostSpans));
}

/// What cannot be written of any plan, before one is simulated.
void refuse_unwritable_files(const Inputs& inputs, const Options& options) {
  for (const std::string* path :
       {&options.timeline, &options.save_plan, &options.save_program, &options.trace}) {
    if (!path->empty()) refuse_unwritable_file(*path);
  }
  if (options.with_order) refuse_order_of_leaving(inputs.cluster, "--with-order");
  if (options.save_program.empty()) return;
  refuse_order_of_leaving(inputs.cluster, "--save-program");
  if (!stops_early(inputs.workload)) return;
  throw Error(
      "--save-program: the exact search knows no early stops; take early_stop and stop_after out "
      "of the workload, or give each job the minibatches that it runs");
}

/// The plan as it was simulated, without noise, unit by unit.
Plan with_order(const Inputs& inputs, const Prediction& best) {
  const Prediction again = predict(inputs, best.plan, true);
  refuse_no_timeline(again);
  return replaying(best.plan, again.timeline);
}

void write_files(const Inputs& inputs, const Options& options, const Prediction& best) {
  if (!options.save_plan.empty()) {
    write_plan(options.save_plan, options.with_order ? with_order(inputs, best) : best.plan);
  }
  if (!options.save_program.empty()) {
    const Program program = lower(inputs.workload, inputs.cluster, inputs.profile, best.plan);
    write_program(options.save_program, program, inputs.cluster, best.plan);
  }
  if (!options.timeline.empty()) write_timeline(options.timeline, best.timeline);
  const Timeline* timeline = &best.timeline;
  if (!options.trace.empty()) write_chrome_trace(options.trace, {&timeline, 1});
}

std::string completion_text(const Prediction& prediction) {
  const auto completion = completion_times(prediction.outcome.jobs);
  if (!completion) return "";
  const TimeUnit unit = time_unit(completion->largest);
  return fmt::format(
      "{} took, from arrival to end: mean {} {unit}, 95 % of them up to {} {unit}, the longest {} "
      "{unit}\n",
      prediction.stopped > 0 ? "jobs that completed" : "jobs", unit.number(completion->mean),
      unit.number(completion->p95), unit.number(completion->largest), fmt::arg("unit", unit.name));
}

/// Nothing where memory did not matter and was left out.
std::string host_text(const Prediction& prediction) {
  const Outcome& outcome = prediction.outcome;
  if (outcome.host_peak == 0) return "";
  std::string text = "host memory: at most " + format_bytes(outcome.host_peak);
  if (outcome.read + outcome.written > 0) {
    text += fmt::format("; disk: {} read, {} written", format_bytes(outcome.read),
                        format_bytes(outcome.written));
  }
  return text + "\n";
}

std::string drawing_text(const Prediction& made, bool metrics_only) {
  const Timeline& timeline = made.timeline;
  if (timeline.units.empty()) {
    const std::string why =
        metrics_only ? "" : fmt::format("no drawing: more than {} units\n", kMostSpans);
    return fmt::format("idle: {}\n{}", idle_text(idle(made.outcome)), why);
  }
  return "\n" + draw(timeline, drawing_options(stdout)) + "\n" +
         device_table(timeline, metrics(timeline));
}

/// --seed is the policy's and the noise's; a plan file has the policy's own.
NoiseSource noise_source(Options& options) {
  NoiseSource noise(options.noise, options.plan.seed.value_or(1));
  if (options.noise.any() && !options.plan.plan.empty()) options.plan.seed.reset();
  return noise;
}

/// The timeline that is drawn and written: with noise, of the first replication.
void set_timeline(const Inputs& inputs, const Options& options, const NoiseSource& noise,
                  Prediction& best) {
  const bool drawn = options.plan.one() && !options.json && !options.metrics_only;
  if (!options.needs_timeline() && !drawn) return;
  if (noise.replications > 0) {
    best.timeline = first_replication(inputs, best, noise);
  } else if (options.needs_timeline() && best.timeline.units.empty()) {
    best = predict(inputs, best.plan, true);
  }
  if (options.needs_timeline()) refuse_no_timeline(best);
}

/// What was found, before anything is drawn or written.
struct Simulation {
  NoiseSource noise;
  Inputs inputs;
  std::vector<std::string> warnings;
  Ranking ranking;
  ReplicatedRanking replicated;
  bool interrupted = false;  ///< A search, which has what it found till then.

  [[nodiscard]] bool noisy() const { return noise.replications > 0; }
};

Simulation simulate_plans(Options& options) {
  Simulation made{noise_source(options), read_inputs(options.paths), {}, {}, {}, false};
  refuse_unwritable_files(made.inputs, options);
  made.warnings = profile_warnings(made.inputs, "");
  std::vector<PlannedChoice> plans = planned(made.inputs, options.plan);
  for (PlannedChoice& choice : plans) {
    made.interrupted = made.interrupted || choice.interrupted;
    if (!choice.plan) continue;
    keep_shared_objects({choice.plan->policy});
    if (options.checkpoint_every.empty()) continue;
    choice.plan->checkpoints = parse_checkpoint_rule(options.checkpoint_every);
  }
  made.ranking = in_plan(options.plan, [&] {
    return rank_plans(made.inputs, plans, made.noisy(), !options.metrics_only);
  });
  for (const Prediction& each : made.ranking.predictions) {
    if (each.departure.empty()) continue;
    const std::string& plan = options.plan.plan.empty() ? each.plan.name : options.plan.plan;
    made.warnings.push_back(plan + ": " + each.departure);
  }
  if (made.noisy()) {
    made.replicated = replicate(made.inputs, made.ranking, made.noise, options.threads);
  }
  return made;
}

nlohmann::ordered_json simulation_json(const Simulation& made) {
  nlohmann::ordered_json body = ranking_json(made.ranking);
  const ReplicatedRanking& replicated = made.replicated;
  for (std::size_t i = 0; i < replicated.plans.size(); ++i) {
    body["plans"][i]["replicated"] = replications_json(replicated.plans[i], replicated.against[i]);
  }
  if (made.noisy()) body["noise"] = noise_json(made.noise);
  body["interrupted"] = made.interrupted;
  body["warnings"] = made.warnings;
  return json_document("simulate", body);
}

void print_simulation(const Simulation& made, const Options& options) {
  const bool one = options.plan.one();
  const Prediction& best = made.ranking.predictions[made.replicated.best];
  print_text(ranking_text(made.ranking));
  if (one) print_text(completion_text(best) + host_text(best) + steps_text(best));
  if (one && best.outcome.devices_lost > 0) print_text(lost_devices_text(best.outcome) + "\n");
  if (one && best.stopped > 0) print_text(stops_text(best));
  if (made.noisy()) print_text(replications_text(made.ranking, made.replicated, made.noise));
  if (one) print_text(drawing_text(best, options.metrics_only));
}

int simulate(Options options) {
  if (options.result.wanted() && options.plan.policy == kSearchPolicy &&
      (options.plan.search_s || !options.plan.search_evaluations)) {
    throw UsageError(
        "--result of --policy search: give --search-evaluations and no --search-seconds, so that "
        "rerun finds the same");
  }
  std::optional<InputRecording> recording;
  if (options.result.wanted()) recording.emplace();
  const std::uint64_t seed = options.plan.seed.value_or(1);
  Simulation made = simulate_plans(options);
  print_warnings(made.warnings);
  nlohmann::ordered_json document;
  if (options.json || recording) document = simulation_json(made);
  if (recording && !made.interrupted) {
    options.result.write(options.result.result(*recording, seed, document));
  }
  Prediction& best = made.ranking.predictions[made.replicated.best];
  set_timeline(made.inputs, options, made.noise, best);
  write_files(made.inputs, options, best);
  if (options.json) {
    print_json(document);
  } else {
    print_simulation(made, options);
  }
  if (!made.interrupted) return 0;
  return options.result.end_interrupted("the plan is the best till then");
}

std::shared_ptr<Options> declare_options(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_workload_and_cluster(app, options->paths);
  add_profile_file(app, options->paths);
  add_plan_options(app, options->plan, /*search=*/true);
  add_checkpoint_option(app, options->checkpoint_every, "never, or what --plan says");
  auto* timeline = app.add_option("-o,--timeline", options->timeline,
                                  "write the best plan's predicted timeline");
  auto* save = app.add_option("--save-plan", options->save_plan, "write the best plan");
  app.add_flag("--with-order", options->with_order,
               "with it, which unit each device takes when: a plan that is followed exactly")
      ->needs(save);
  app.add_option("--save-program", options->save_program,
                 "write the best plan's units, costs and items, for python -m shardlab.exact");
  auto* trace =
      app.add_option("--trace", options->trace, "write the best plan's Chrome trace, for Perfetto");
  app.add_flag("--metrics-only", options->metrics_only,
               "keep no timeline: no drawing and no rows of devices, memory independent of the "
               "number of units")
      ->excludes(timeline)
      ->excludes(trace);
  add_noise_options(app, options->noise);
  app.get_option("--seed")->description("of policies that draw (1), and of --noise");
  app.add_option("--threads", options->threads, "replications simulated at once (all cores)")
      ->check(CLI::Range(1, 1024));
  options->result.declare(
      app, {"--timeline", "--save-plan", "--with-order", "--save-program", "--trace"});
  add_json_flag(app, options->json);
  return options;
}

}  // namespace

Computation recompute_simulate(CLI::App& app) {
  const auto options = declare_options(app);
  return [options] {
    const Simulation made = simulate_plans(*options);
    if (made.interrupted) throw Error("interrupted");
    return simulation_json(made);
  };
}

Action declare_simulate(CLI::App& app) {
  const auto options = declare_options(app);
  app.footer(
      "Policies:\n" + policies_text() + fmt::format("- {:<15} {}\n", kSearchPolicy, kSearchRule) +
      "Without --strategy, --policy, --admit, --keep-activations and --plan it ranks all usual "
      "plans;\nthose of the policies marked - are not among them.\nWith --noise the best plan is "
      "the one with the smallest mean makespan, and "
      "what is drawn and written\nis its first replication.\n"
      "Ctrl-C ends a search with the best so far, and exit code 1.\nExamples:\n"
      "  shardlab simulate workload.toml cluster.toml -p profile.json --save-plan best.json\n"
      "  shardlab simulate workload.toml cluster.toml -p profile.json --strategy spill --policy "
      "lrtf\n"
      "  shardlab simulate workload.toml cluster.toml -p profile.json --noise lognormal:0.1 "
      "--replications 100 --seed 7");
  return [options] { return simulate(*options); };
}

}  // namespace shardlab
