#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/emulation.h"
#include "cli/engine.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/profile_report.h"
#include "cli/ranking_report.h"
#include "cli/ranking_runs.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "policies/registry.h"
#include "traces/atomic_file.h"
#include "traces/profile_file.h"
#include "validate/ranking_case.h"
#include "validate/ranking_score.h"

namespace shardlab {
namespace {

struct Options {
  std::vector<std::string> policies{"lrtf",        "fifo",   "srtf",
                                    "round_robin", "random", "task_parallel"};
  int cpu = 20, emulated = 20, rounds = 3;
  std::uint64_t seed = 1;
  double seconds = 20;
  std::string folder = "ranking-out";
  bool json = false;
};

/// Runs the cases one after another and keeps what came out.
class RankingStudy {
 public:
  explicit RankingStudy(const Options& options)
      : options_(options), start_(std::chrono::steady_clock::now()) {
    how_.policies = options.policies;
    how_.seed = options.seed;
    how_.stop = &interrupt_.stop();
  }

  int run() {
    for (const std::string& policy : options_.policies) {
      (void)make_policy(policy, 1, options_.seed);  // Known, before anything runs.
    }
    refuse_unwritable(options_.folder);
    if (options_.cpu > 0) engine_ = load_engine();
    how_.engine = engine_.get();
    make_folder(options_.folder);
    if (options_.emulated > 0) run_emulated();
    if (options_.cpu > 0 && !stopped()) run_cpu();
    if (found_.emulated.empty() && found_.cpu.empty()) {
      throw Error("interrupted before a workload was done");
    }
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
  void run(const RankingCase& drawn, const EmulationOverhead& overhead, int rounds,
           std::vector<RankedCase>& done);
  bool run_round(const PredictedCase& predicted, std::size_t first, std::vector<double>& took);
  void say(const std::string& text);
  void conclude();

  const Options& options_;
  std::chrono::steady_clock::time_point start_;
  Interrupt interrupt_;
  ProgressLine line_;
  std::unique_ptr<Engine> engine_;
  RankingRuns how_;
  RankingFound found_;
  nlohmann::ordered_json cases_ = nlohmann::ordered_json::array();
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
    const EmulationOverhead overhead = measure_emulation(drawn.cluster);
    found_.dispatch = overhead.loaded;
    drawn.profile = with_dispatch(std::move(drawn.profile), overhead);
    run(drawn, overhead, options_.rounds, found_.emulated);
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
    found_.fixed_work.push_back(engine_->fixed_work(ranking_devices()));
    run(draw_cpu_case(options_.seed, i, profile, file("text.txt")), {}, options_.rounds,
        found_.cpu);
  }
}

/// From policy `first` on, all of them. False when it was interrupted.
bool RankingStudy::run_round(const PredictedCase& predicted, std::size_t first,
                             std::vector<double>& took) {
  const std::size_t policies = options_.policies.size();
  took.resize(policies);
  for (std::size_t i = 0; i < policies; ++i) {
    const std::size_t p = (first + i) % policies;
    took[p] = run_case(predicted, p, how_);
    if (stopped()) return false;
    say(fmt::format("{:<12} {:<14} predicted {:6.3f} s, naive {:6.3f} s, measured {:6.3f} s",
                    predicted.ranked.name, options_.policies[p], predicted.ranked.predicted_s[p],
                    predicted.ranked.naive_s[p], took[p]));
  }
  return true;
}

/// Each round begins with another policy, so that the runs of each lie as far apart as can be: a
/// machine that is slow for a while is not slow for one of them twice.
void RankingStudy::run(const RankingCase& drawn, const EmulationOverhead& overhead, int rounds,
                       std::vector<RankedCase>& done) {
  PredictedCase predicted = predicted_case(drawn, how_, overhead);
  std::vector<std::vector<double>> took(static_cast<std::size_t>(rounds));
  for (int r = 0; r < rounds; ++r) {
    const auto number = static_cast<std::size_t>(r);
    const std::size_t first = number * options_.policies.size() / took.size();
    if (!run_round(predicted, first, took[number])) return;
  }
  predicted.ranked.measured_s = measured_in_rounds(took);
  cases_.push_back(case_json(predicted, took));
  done.push_back(std::move(predicted.ranked));
}

void RankingStudy::conclude() {
  line_.clear();
  nlohmann::ordered_json body{
      {"seed", options_.seed}, {"policies", options_.policies}, {"stated_error", kStatedError}};
  body.update(ranking_found_json(found_));
  body["interrupted"] = stopped();
  body["elapsed_s"] = elapsed();
  if (options_.json) {
    print_json("validate-ranking", body);
  } else {
    print_text(fmt::format("\n{}written: {}, {:.0f} s in all\n", ranking_found_text(found_),
                           file("cases.json"), elapsed()));
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
  app.add_option("--rounds", options->rounds, "runs of each workload under each policy")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seed", options->seed, "that the workloads are drawn from")
      ->check(non_negative())
      ->capture_default_str();
  app.add_option("--seconds", options->seconds, "how long to profile the CPU workloads' models")
      ->check(positive())
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
