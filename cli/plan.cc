#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/plan_options.h"
#include "cli/plan_report.h"
#include "cli/prediction.h"
#include "cli/result.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "planning/replan.h"
#include "traces/atomic_file.h"
#include "traces/plan_file.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

/// Without --budget; with --result there is none.
constexpr double kUsualBudget = 10;

struct Options {
  InputPaths paths;
  JointSearch search;
  std::optional<double> budget_s;
  std::string output;
  ResultOption result;
  bool replan = false;
  bool json = false;
};

std::optional<Duration> best_of(const Inputs& inputs, const Cluster& cluster,
                                const std::vector<PlanChoice>& choices) {
  std::optional<Duration> best;
  Evaluator evaluator(inputs.workload, cluster, inputs.profile);
  for (const PlanChoice& choice : choices) {
    try {
      const Plan plan = make_plan(evaluator.workload(), cluster, inputs.profile, choice);
      const auto time = evaluator.whole_makespan(plan);
      if (time && (!best || *time < *best)) best = time;
    } catch (const Error&) {
      continue;  // It cannot run there.
    }
  }
  return best;
}

Yardsticks yardsticks(const Inputs& inputs, const JointSearch& search) {
  Cluster one = inputs.cluster;
  one.devices.resize(1);
  const PlanChoice policy{Strategy::kSpill, search.policy, search.slots, 0, true, search.seed, {}};
  return {best_of(inputs, one, usual_choices(search.slots, search.seed)),
          best_of(inputs, inputs.cluster, {policy}), search.policy};
}

/// The best plans until the budget ends, or Ctrl-C.
struct Searched {
  Replanned found;  ///< Without --replan one phase, in which nobody stops.
  bool interrupted = false;
};

Searched searched(const Inputs& inputs, const Options& options, std::optional<double> budget_s) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  ProgressLine line;
  const Interrupt interrupt;
  const SearchProgress progress = [&](std::int64_t evaluations, Duration best) {
    line.update(fmt::format("{} of {} plans simulated, best {:.3f} s", evaluations,
                            options.search.evaluations, seconds(best)));
    if (interrupt.stop()) return false;
    return !budget_s || std::chrono::duration<double>(Clock::now() - begin).count() < *budget_s;
  };
  Searched made;
  if (options.replan) {
    made.found =
        plan_with_stops(inputs.workload, inputs.cluster, inputs.profile, options.search, progress);
  } else {
    Evaluator evaluator(inputs.workload, inputs.cluster, inputs.profile);
    made.found.phases.emplace_back().joint = plan_jointly(evaluator, options.search, progress);
  }
  made.interrupted = interrupt.stop();
  return made;
}

/// `plan.json`; of later phases `plan-2.json`, with the jobs that are left in `plan-2.toml`.
void write_plans(const std::string& path, const Replanned& found) {
  if (path.empty()) return;
  write_plan(path, found.phases.front().joint.plan);
  const std::filesystem::path first = path;
  for (std::size_t i = 1; i < found.phases.size(); ++i) {
    const std::string stem =
        (first.parent_path() / fmt::format("{}-{}", first.stem().string(), i + 1)).string();
    write_plan(stem + ".json", found.phases[i].joint.plan);
    Workload rest = found.phases[i].workload;
    for (Job& job : rest.jobs) {
      job.stop_after = 0;  // Nobody knows.
      if (!job.data.empty()) job.data = std::filesystem::absolute(job.data).string();
    }
    write_file_atomically(stem + ".toml", workload_toml(rest));
  }
}

/// A plan, and what it is held against.
struct Planned {
  Inputs inputs;
  std::vector<std::string> warnings;
  Searched search;
  Prediction prediction;           ///< Of the first plan, if nobody stops.
  std::optional<Prediction> last;  ///< With --replan: of the last phase by itself.
  Yardsticks than;
};

Planned planned(const Options& options, std::optional<double> budget_s) {
  keep_shared_objects({options.search.policy});
  Inputs inputs = read_inputs(options.paths);
  if (options.replan && !stops_early(inputs.workload)) {
    throw UsageError(
        "--replan: no job of the workload stops early; give stop_after or "
        "[early_stop]");
  }
  auto warnings = profile_warnings(inputs, "");
  Searched search = searched(inputs, options, budget_s);
  const std::vector<PlanPhase>& phases = search.found.phases;
  Inputs to_the_end = inputs;
  to_the_end.workload = Evaluator(inputs.workload, inputs.cluster, inputs.profile).workload();
  Prediction prediction = predict(to_the_end, phases.front().joint.plan, false);
  std::optional<Prediction> last;
  if (options.replan) {
    Inputs rest = inputs;
    rest.workload = phases.back().workload;
    last = predict(rest, phases.back().joint.plan, false);
  }
  const Yardsticks than = yardsticks(inputs, options.search);
  return {std::move(inputs),     std::move(warnings), std::move(search),
          std::move(prediction), std::move(last),     than};
}

nlohmann::ordered_json planned_json(const Planned& made) {
  const Replanned& found = made.search.found;
  nlohmann::ordered_json body =
      joint_plan_json(made.inputs, found.phases.front().joint, made.than, made.prediction);
  body["interrupted"] = made.search.interrupted;
  if (made.last) body.update(replanned_json(made.inputs, found, *made.last));
  body["warnings"] = made.warnings;
  return json_document("plan", body);
}

int plan(const Options& options) {
  if (options.result.wanted() && options.budget_s) {
    throw UsageError("--result: give --evaluations and no --budget, so that rerun finds the same");
  }
  std::optional<InputRecording> recording;
  if (options.result.wanted()) recording.emplace();
  const Planned made = planned(
      options, options.result.wanted() ? std::nullopt
                                       : std::optional(options.budget_s.value_or(kUsualBudget)));
  const Replanned& found = made.search.found;
  print_warnings(made.warnings);
  write_plans(options.output, found);
  nlohmann::ordered_json document;
  if (options.json || recording) document = planned_json(made);
  if (recording && !made.search.interrupted) {
    options.result.write(options.result.result(*recording, options.search.seed, document));
  }
  if (options.json) {
    print_json(document);
  } else {
    print_text(joint_plan_text(made.inputs, found.phases.front().joint, made.than, made.prediction,
                               made.search.interrupted));
    if (made.last) print_text(replanned_text(made.inputs, found, *made.last));
    const std::string& policy = found.phases.front().joint.plan.policy;
    if (policy != options.search.policy) {
      print_text(fmt::format("the plan is under {}: none under {} was found that is shorter\n",
                             policy, options.search.policy));
    }
  }
  if (!made.search.interrupted) return 0;
  return options.result.end_interrupted("the plan is the best till then");
}

std::shared_ptr<Options> declare_options(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  add_workload_and_cluster(app, options->paths);
  add_profile_file(app, options->paths);
  app.add_option("-o,--output", options->output, "write the plan, for simulate --plan");
  app.add_option("--policy", options->search.policy,
                 "which ready unit a free device takes, see simulate --help; the plan may have "
                 "another where a usual plan was shorter")
      ->check(policies())
      ->capture_default_str();
  app.add_option("--slots", options->search.slots, "units claimed at once per device")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  app.add_option("--seed", options->search.seed, "of the search and of policies that draw")
      ->check(non_negative())
      ->capture_default_str();
  app.add_option("--evaluations", options->search.evaluations,
                 "plans to simulate at most: the same number gives the same plan")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  app.add_option("--budget", options->budget_s,
                 "and for how long at most: 10s, 2min, 1h (10s; with --result, no limit)")
      ->transform(in_seconds())
      ->check(positive());
  app.add_flag("--replan", options->replan,
               "plan anew for those that are left when jobs stop early; -o plan.json then also "
               "writes plan-2.json and plan-2.toml, and so on");
  options->result.declare(app, {"--output"});
  add_json_flag(app, options->json);
  return options;
}

}  // namespace

Computation recompute_plan(CLI::App& app) {
  const auto options = declare_options(app);
  return [options] {
    const Planned made = planned(*options, {});
    if (made.search.interrupted) throw Error("interrupted");
    return planned_json(made);
  };
}

Action declare_plan(CLI::App& app) {
  const auto options = declare_options(app);
  app.footer(
      "Chooses for every job a strategy and a degree (spill, resident, gpipe, one_f_one_b, "
      "data_parallel, or data_parallel\naround one_f_one_b) together with the devices that it "
      "gets, by simulating whole plans. Costs of microbatches come\nfrom the profile at their "
      "batch: give profiles of several batches, or one of shardlab fit.\n"
      "Ctrl-C ends the search with the best plan so far, and exit code 1.\n"
      "Example:\n  shardlab plan workload.toml cluster.toml -p profile.json --budget 10s -o "
      "plan.json");
  return [options] { return plan(*options); };
}

}  // namespace shardlab
