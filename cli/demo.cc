#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/contenders.h"
#include "cli/demo_report.h"
#include "cli/engine.h"
#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/profile_report.h"
#include "cli/ranked_plans.h"
#include "cli/terminal.h"
#include "cli/training.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "report/summary.h"
#include "sched/link.h"
#include "traces/atomic_file.h"
#include "traces/cluster_file.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

struct Options {
  InputPaths paths;
  std::string folder = "demo-out";
  int repeats = 3;
  bool quick = false;
  bool json = false;
};

/// A file of examples/demo/, seen from the repository or from its build folder.
std::string example(const std::string& name) {
  const std::filesystem::path file = std::filesystem::path("examples/demo") / name;
  const auto source = command_folder().parent_path().parent_path();
  for (const auto& folder : {std::filesystem::path(), source}) {
    if (std::filesystem::exists(folder / file)) return (folder / file).string();
  }
  throw Error(file.string() + " is not here; give --workload and --cluster");
}

/// "model_parallel/lrtf/admit=1" → "model_parallel-lrtf-admit1".
std::string folder_name(std::string plan) {
  std::replace(plan.begin(), plan.end(), '/', '-');
  std::erase(plan, '=');
  return plan;
}

/// A plan that the demo runs.
struct Contender {
  Prediction prediction;
  MeasuredPlan measured;
};

class Demo {
 public:
  explicit Demo(const Options& options)
      : options_(options), start_(std::chrono::steady_clock::now()), engine_(load_engine()) {
    refuse_unwritable(options.folder);
  }

  int run() {
    profile();
    rank();
    const bool complete = run_in_turn();
    if (!contenders_.empty() && !contenders_.front().measured.runs.empty()) conclude();
    return complete ? 0 : 1;
  }

 private:
  void say(const std::string& text) const {
    if (!options_.json) print_text(text);
  }
  void step(const std::string& what) { say(fmt::format("\n{}. {}\n\n", ++step_, what)); }
  [[nodiscard]] std::string file(const std::string& name) const {
    return options_.folder + "/" + name;
  }
  [[nodiscard]] double elapsed() const {
    return seconds(std::chrono::steady_clock::now() - start_);
  }

  void profile();
  void rank();
  void choose(const Ranking& ranking);
  bool run_in_turn();
  [[nodiscard]] bool time_for(double needed) const;
  bool run(Contender& contender);
  [[nodiscard]] bool same_weights(const RunResult& result);
  void conclude();

  const Options& options_;
  std::chrono::steady_clock::time_point start_;
  std::unique_ptr<Engine> engine_;
  Inputs inputs_;
  std::vector<Contender> contenders_;
  std::vector<std::uint64_t> weights_;  ///< Hash per job, of the first run.
  bool identical_ = true;
  int step_ = 0;
};

void Demo::profile() {
  inputs_.workload = read_workload(options_.paths.workload);
  refuse_early_stops(inputs_.workload, options_.paths.workload, "demo");
  inputs_.machine = read_cluster(options_.paths.cluster);
  if (options_.quick) {
    for (Job& job : inputs_.workload.jobs)
      job.minibatches = std::min<std::int64_t>(job.minibatches, 2);
  }
  step(fmt::format("Measuring what every layer of {} jobs costs on this machine",
                   inputs_.workload.jobs.size()));
  ProfileOptions how;
  how.seconds = options_.quick ? 4 : 20;
  inputs_.profile = profile_with_progress(*engine_, inputs_.workload, inputs_.machine, how);
  inputs_.cluster = with_measured_links(inputs_.machine, inputs_.profile);
  make_folder(options_.folder);
  write_profile(file("profile.json"), inputs_.profile);
  say(jobs_text(inputs_) + "\n" + profile_text(inputs_.profile));
}

void Demo::rank() {
  step("Predicting every usual plan");
  const Ranking ranking = rank_plans(
      inputs_, make_plans(inputs_.workload, inputs_.cluster, inputs_.profile, usual_choices()),
      false);
  write_file_atomically(file("ranking.json"), ranking_json(ranking).dump(1) + "\n");
  say(ranking_text(ranking));
  choose(ranking);
}

void Demo::choose(const Ranking& ranking) {
  const Contenders chosen = choose_contenders(ranking);
  for (const Plan& plan : chosen.plans) {
    Contender& contender = contenders_.emplace_back();
    contender.prediction = predict(inputs_, plan, true);
    contender.measured.plan = plan;
  }
  say(chosen.note);
}

bool Demo::time_for(double needed) const {
  constexpr double kLimit = 170;  // Of the three minutes that the demo may take.
  return options_.quick || elapsed() + needed < kLimit;
}

/// The first two plans alternately, so that both meet the same machine; the third once. What would
/// take too long is left out, but no plan of the first two.
bool Demo::run_in_turn() {
  step(fmt::format("Training by {} and, for comparison, {}, in turn",
                   contenders_[0].measured.plan.name, contenders_[1].measured.plan.name));
  double turn = 0;  // How long the one before took.
  for (int repeat = 1; repeat <= options_.repeats; ++repeat) {
    if (repeat > 1 && !time_for(turn)) {
      say(fmt::format("after {} of {} turns there is no time for another of {:.0f} s\n", repeat - 1,
                      options_.repeats, turn));
      break;
    }
    const double before = elapsed();
    if (!run(contenders_[0]) || !run(contenders_[1])) return false;
    turn = elapsed() - before;
  }
  if (contenders_.size() == 2) return true;
  const double needed = seconds(contenders_[2].prediction.outcome.makespan);
  if (time_for(needed)) return run(contenders_[2]);
  say(fmt::format("{} is left out: no time for its {:.0f} s\n", contenders_[2].measured.plan.name,
                  needed));
  contenders_.pop_back();
  return true;
}

bool Demo::run(Contender& contender) {
  const Prediction& prediction = contender.prediction;
  Trained trained = train(engine_.get(), inputs_, prediction, {.events = false, .records = false});
  time_again(engine_.get(), inputs_, trained);
  MeasuredPlan& measured = contender.measured;
  const std::string folder =
      fmt::format("{}/{}", folder_name(prediction.plan.name), measured.runs.size() + 1);
  write_run(file(folder), prediction, trained);
  measured.folders.push_back(folder);
  if (!trained.complete()) {
    say(losses_text(trained));
    return false;
  }
  if (weights_.empty()) say(losses_text(trained) + "\n");
  identical_ = same_weights(trained.result) && identical_;
  measured.runs.push_back(
      compare(prediction.program, inputs_.cluster, prediction.plan, trained.result.timeline));
  measured.drift.push_back(trained.drift(inputs_.profile).value());
  say(fmt::format(
      "{:<32} predicted {:7.2f} s, measured {:7.2f} s, drift of the machine {:+.1f} %\n",
      prediction.plan.name, seconds(prediction.outcome.makespan),
      seconds(trained.result.timeline.makespan), 100 * measured.drift.back()));
  return true;
}

bool Demo::same_weights(const RunResult& result) {
  std::vector<std::uint64_t> weights;
  for (const TrainedJob& job : result.jobs) weights.push_back(job.weights_hash);
  if (weights_.empty()) weights_ = weights;
  return weights == weights_;
}

void Demo::conclude() {
  std::vector<MeasuredPlan> plans;
  for (const Contender& each : contenders_) {
    if (!each.measured.runs.empty()) plans.push_back(each.measured);
  }
  nlohmann::ordered_json summary = summary_json(plans);
  summary["identical_weights"] = identical_;
  summary["elapsed_s"] = elapsed();
  write_file_atomically(file("summary.json"), summary.dump(1) + "\n");
  step("Predicted against measured");
  for (std::size_t i = 0; i < plans.size(); ++i) {
    say(comparison_text(plans[i].runs.at(plans[i].median()), drawing_options(stdout)) + "\n");
  }
  step("What came out");
  say(measured_text(plans) + "\n");
  for (const MeasuredPlan& plan : plans) say(overhead_text(plan));
  say(fmt::format("\nfinal weights of every job under all plans: {}\n",
                  identical_ ? "the same to the bit" : "DIFFERENT, which is a bug"));
  say(fmt::format(
      "{} holds profile, ranking, plans, timelines, traces (open one in the Perfetto UI) "
      "and summary.json; {:.0f} s in all\n",
      options_.folder, elapsed()));
  if (options_.json) print_text(summary.dump(1) + "\n");
}

}  // namespace

Action declare_demo(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("--workload", options->paths.workload, "TOML file (examples/demo/workload.toml)");
  app.add_option("--cluster", options->paths.cluster, "TOML file (examples/demo/cluster.toml)");
  app.add_option("-o,--output", options->folder, "folder for all files")->capture_default_str();
  app.add_option("--repeats", options->repeats,
                 "how often the two plans run in turn, while there is time")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_flag("--quick", options->quick,
               "two minibatches per job at most, a short profile, one turn");
  add_json_flag(app, options->json);
  app.footer(
      "Takes up to three minutes on two cores.\nExample:\n  shardlab demo --repeats 1 -o demo-out");
  return [options] {
    if (options->paths.workload.empty()) options->paths.workload = example("workload.toml");
    if (options->paths.cluster.empty()) options->paths.cluster = example("cluster.toml");
    if (options->quick) options->repeats = 1;
    return Demo(*options).run();
  };
}

}  // namespace shardlab
