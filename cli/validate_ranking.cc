#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/emulation.h"
#include "cli/engine.h"
#include "cli/inputs.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/prediction.h"
#include "cli/profile_report.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "exec/emulated.h"
#include "policies/planner.h"
#include "policies/registry.h"
#include "report/table.h"
#include "sched/link.h"
#include "sim/simulator.h"
#include "traces/atomic_file.h"
#include "traces/profile_file.h"
#include "validate/ranking_case.h"
#include "validate/ranking_score.h"

namespace shardlab {
namespace {

struct Options {
  std::vector<std::string> policies{"lrtf",        "fifo",   "srtf",
                                    "round_robin", "random", "task_parallel"};
  int cpu = 20, emulated = 20;
  std::uint64_t seed = 1;
  double seconds = 20;
  std::string folder = "ranking-out";
  bool json = false;
};

/// A case as `folder`/cases.json has it, for models of others: bench/naive_ranking.py.
nlohmann::ordered_json case_json(const RankedCase& ranked, std::size_t devices,
                                 const Program& program) {
  auto jobs = nlohmann::ordered_json::array();
  const std::size_t classes = 1 + program.times.size();
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    auto times = nlohmann::ordered_json::array();
    for (std::size_t c = 0; c < classes; ++c) {
      auto units = nlohmann::ordered_json::array();
      for (std::uint32_t u = 0; u < program.jobs[j].units.size(); ++u) {
        units.push_back(times_of(program, c, job_id(j), u).loaded.total.count());
      }
      times.push_back(std::move(units));
    }
    jobs.push_back({{"minibatches", program.jobs[j].minibatches}, {"units_ns", std::move(times)}});
  }
  return {{"name", ranked.name},
          {"devices", devices},
          {"class_of_device", program.class_of},
          {"jobs", std::move(jobs)},
          {"predicted_s", ranked.predicted_s},
          {"naive_s", ranked.naive_s},
          {"measured_s", ranked.measured_s}};
}

/// Runs the cases one after another and keeps what came out.
class RankingStudy {
 public:
  explicit RankingStudy(const Options& options)
      : options_(options), start_(std::chrono::steady_clock::now()) {}

  int run() {
    refuse_unwritable(options_.folder);
    if (options_.cpu > 0) engine_ = load_engine();
    make_folder(options_.folder);
    if (options_.emulated > 0) run_emulated();
    if (options_.cpu > 0 && !stopped()) run_cpu();
    if (emulated_.empty() && cpu_.empty()) throw Error("interrupted before a workload was done");
    conclude();
    return stopped() ? 1 : 0;
  }

 private:
  [[nodiscard]] bool stopped() const { return interrupt_.stop().load(); }
  [[nodiscard]] std::string file(const std::string& name) const {
    return options_.folder + "/" + name;
  }
  [[nodiscard]] double elapsed() const {
    return seconds(std::chrono::steady_clock::now() - start_);
  }

  void run_emulated();
  void run_cpu();
  bool run_case(const RankingCase& drawn, int number, std::vector<RankedCase>& done);
  Prediction prediction(const Inputs& inputs, const std::string& policy) const;
  double naive(const Inputs& inputs, const Prediction& predicted) const;
  double measure(const Inputs& inputs, const Prediction& predicted);
  void say(const std::string& text);
  void conclude();
  [[nodiscard]] std::string text() const;
  [[nodiscard]] nlohmann::ordered_json json() const;

  const Options& options_;
  std::chrono::steady_clock::time_point start_;
  Interrupt interrupt_;
  ProgressLine line_;
  std::unique_ptr<Engine> engine_;
  std::vector<RankedCase> cpu_, emulated_;
  nlohmann::ordered_json cases_ = nlohmann::ordered_json::array();
  std::vector<Duration> fixed_work_;
  EmulationOverhead overhead_;
};

void RankingStudy::say(const std::string& text) {
  if (line_.shown()) {
    line_.update(fmt::format("{:4.0f} s  {}", elapsed(), text));
  } else if (!options_.json) {
    print_text(fmt::format("{:4.0f} s  {}\n", elapsed(), text));
  }
}

void RankingStudy::run_emulated() {
  for (int i = 0; i < options_.emulated && !stopped(); ++i) {
    RankingCase drawn = draw_emulated_case(options_.seed, i);
    overhead_ = measure_emulation(drawn.cluster);
    drawn.profile = with_dispatch(std::move(drawn.profile), overhead_);
    run_case(drawn, i, emulated_);
  }
}

void RankingStudy::run_cpu() {
  // A megabyte of text of our own: that of the Python library takes longer to read than a run.
  std::string words;
  for (std::size_t i = 0; words.size() < (1U << 20); ++i) words += fmt::format("{} ", i * i % 9973);
  write_file_atomically(file("text.txt"), words);
  line_.clear();
  const Profile profile = profile_with_progress(*engine_, ranking_models(file("text.txt")),
                                                ranking_devices(), {.seconds = options_.seconds});
  write_profile(file("profile.json"), profile);
  for (int i = 0; i < options_.cpu && !stopped(); ++i) {
    fixed_work_.push_back(engine_->fixed_work(ranking_devices()));
    run_case(draw_cpu_case(options_.seed, i, profile, file("text.txt")), i, cpu_);
  }
}

Prediction RankingStudy::prediction(const Inputs& inputs, const std::string& policy) const {
  PlanChoice choice;
  choice.policy = policy;
  choice.slots = kRankingSlots;
  choice.seed = options_.seed;
  const Plan plan = make_plan(inputs.workload, inputs.cluster, inputs.profile, choice);
  return predict(inputs, plan, false);
}

double RankingStudy::naive(const Inputs& inputs, const Prediction& predicted) const {
  const Program program = computing_alone(predicted.program);
  const auto policy = make_policy(predicted.plan.policy, program, options_.seed);
  EstimatedCosts costs(program);
  return seconds(
      simulate(program, computing_alone(inputs.cluster), *policy, costs, nullptr).makespan);
}

double RankingStudy::measure(const Inputs& inputs, const Prediction& predicted) {
  const auto policy = make_policy(predicted.plan.policy, predicted.program, options_.seed);
  RunOptions how;
  how.stop = &interrupt_.stop();
  std::vector<std::vector<int>> layers;
  for (const JobPlan& job : predicted.plan.jobs) layers.push_back(job.first_layer);
  const RunResult result =
      is_emulated(inputs.machine)
          ? emulate(predicted.program, inputs.machine, *policy, how)
          : engine_->run(inputs.workload, inputs.machine, predicted.program, layers, *policy, how);
  for (const JobEnd& end : result.outcome.jobs) {
    if (!end.completed && !stopped()) throw Error("a job was stopped: " + end.reason);
  }
  return seconds(result.timeline.makespan);
}

/// Every other case takes the policies in reverse, so that a machine that drifts favours none.
bool RankingStudy::run_case(const RankingCase& drawn, int number, std::vector<RankedCase>& done) {
  Inputs inputs{drawn.workload, with_measured_links(drawn.cluster, drawn.profile), drawn.profile,
                drawn.cluster};
  const std::size_t policies = options_.policies.size();
  RankedCase ranked{drawn.name, std::vector<double>(policies), std::vector<double>(policies),
                    std::vector<double>(policies)};
  Program program;
  for (std::size_t i = 0; i < policies; ++i) {
    const std::size_t p = number % 2 == 0 ? i : policies - 1 - i;
    const Prediction predicted =
        in_context(drawn.name, [&] { return prediction(inputs, options_.policies[p]); });
    ranked.predicted_s[p] = seconds(predicted.outcome.makespan);
    ranked.naive_s[p] = naive(inputs, predicted);
    ranked.measured_s[p] = in_context(drawn.name, [&] { return measure(inputs, predicted); });
    if (stopped()) return false;
    say(fmt::format("{:<12} {:<14} predicted {:6.3f} s, naive {:6.3f} s, measured {:6.3f} s",
                    drawn.name, options_.policies[p], ranked.predicted_s[p], ranked.naive_s[p],
                    ranked.measured_s[p]));
    program = computing_alone(predicted.program);
  }
  cases_.push_back(case_json(ranked, drawn.cluster.devices.size(), program));
  done.push_back(std::move(ranked));
  return true;
}

/// How much longer the slowest fixed work took than the fastest.
double drift(const std::vector<Duration>& fixed_work) {
  if (fixed_work.empty()) return 0;
  return seconds(std::ranges::max(fixed_work)) / seconds(std::ranges::min(fixed_work)) - 1;
}

struct Part {
  const char* name;
  std::vector<RankedCase> cases;
};

std::vector<Part> parts_of(const std::vector<RankedCase>& cpu,
                           const std::vector<RankedCase>& emulated) {
  std::vector<Part> parts{{"all", emulated}, {"cpu", cpu}, {"emulated", emulated}};
  parts[0].cases.insert(parts[0].cases.end(), cpu.begin(), cpu.end());
  std::erase_if(parts, [](const Part& part) { return part.cases.empty(); });
  return parts;
}

std::string RankingStudy::text() const {
  TextTable table({"devices", "predicted by", "workloads", "pairs", "wrong", "right %",
                   "regret median %", "regret worst %", "error median %", "error worst %"});
  for (const Part& part : parts_of(cpu_, emulated_)) {
    for (const bool naive : {false, true}) {
      const RankingScore found =
          score(part.cases, naive ? &RankedCase::naive_s : &RankedCase::predicted_s, kStatedError);
      const double right = found.pairs == 0 ? 1
                                            : 1 - static_cast<double>(found.wrong) /
                                                      static_cast<double>(found.pairs);
      table.row({part.name, naive ? "naive" : "shardlab", fmt::format("{}", part.cases.size()),
                 fmt::format("{}", found.pairs), fmt::format("{}", found.wrong),
                 fmt::format("{:.1f}", 100 * right),
                 fmt::format("{:.2f}", 100 * found.regret_median),
                 fmt::format("{:.2f}", 100 * found.regret_worst),
                 fmt::format("{:.2f}", 100 * found.error_median),
                 fmt::format("{:.2f}", 100 * found.error_worst)});
    }
  }
  std::string noise;
  if (!fixed_work_.empty()) {
    noise += fmt::format("fixed work took up to {:.0f} % longer between CPU workloads\n",
                         100 * drift(fixed_work_));
  }
  if (!emulated_.empty()) {
    noise += fmt::format("a unit of an emulated device took {:.0f} µs beyond its time\n",
                         1e6 * seconds(overhead_.loaded));
  }
  return "\n" + table.text() +
         fmt::format(
             "\npairs: policies predicted more than {:.0f} % apart; naive: computing alone, "
             "without memory, links and overheads\n{}written: {}, {:.0f} s in all\n",
             100 * kStatedError, noise, file("cases.json"), elapsed());
}

nlohmann::ordered_json RankingStudy::json() const {
  nlohmann::ordered_json body{
      {"seed", options_.seed}, {"policies", options_.policies}, {"stated_error", kStatedError}};
  for (const Part& part : parts_of(cpu_, emulated_)) {
    auto scores = score_json(score(part.cases, &RankedCase::predicted_s, kStatedError));
    scores["workloads"] = part.cases.size();
    scores["naive"] = score_json(score(part.cases, &RankedCase::naive_s, kStatedError));
    if (part.name == std::string_view("all")) {
      body.update(scores);
    } else {
      body[part.name] = std::move(scores);
    }
  }
  body["drift"] = drift(fixed_work_);
  body["dispatch_s"] = seconds(overhead_.loaded);
  body["interrupted"] = stopped();
  body["elapsed_s"] = elapsed();
  return body;
}

void RankingStudy::conclude() {
  line_.clear();
  nlohmann::ordered_json body = json();
  if (options_.json) {
    print_json("validate-ranking", body);
  } else {
    print_text(text());
  }
  body["cases"] = cases_;
  write_file_atomically(file("cases.json"), body.dump(1) + "\n");
}

}  // namespace

Action declare_validate_ranking(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  std::vector<std::string> known;
  for (const PolicyInfo& policy : known_policies()) known.emplace_back(policy.name);
  app.add_option("--policies", options->policies, "what is ranked, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(known))
      ->capture_default_str();
  app.add_option("--cpu", options->cpu, "workloads trained on two CPU devices")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  app.add_option("--emulated", options->emulated, "workloads on eight emulated devices")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  app.add_option("--seed", options->seed, "that the workloads are drawn from")
      ->capture_default_str();
  app.add_option("--seconds", options->seconds, "how long to profile the CPU workloads' models")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("-o,--output", options->folder, "folder for cases.json and the profile")
      ->capture_default_str();
  add_json_flag(app, options->json);
  app.footer(
      "Runs every workload under every policy: trained on two CPU devices with paced links, and "
      "on eight emulated\ndevices of mixed speeds. Nothing else should use the machine meanwhile. "
      "Takes up to ten minutes on two cores.\nExamples:\n"
      "  shardlab validate ranking --json\n"
      "  shardlab validate ranking --cpu 0 --emulated 5 --policies lrtf,srtf --seed 7");
  return [options] { return RankingStudy(*options).run(); };
}

}  // namespace shardlab
