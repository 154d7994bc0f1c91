#include <algorithm>
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
#include "validate/ranking_measure.h"
#include "validate/ranking_score.h"

namespace shardlab {
namespace {

struct Options {
  std::vector<std::string> policies{"lrtf",        "fifo",   "srtf",
                                    "round_robin", "random", "task_parallel"};
  int cpu = 20, emulated = 20, rounds = 2;
  std::uint64_t seed = 1;
  double seconds = 20, until = 570;
  std::string folder = "ranking-out";
  bool json = false;
};

/// A workload, its runs, and what they say so far.
struct Contest {
  PredictedCase predicted;
  std::vector<Stretch> stretches = {};

  [[nodiscard]] PolicyMakespans makespans() const {
    return {predicted.predictions.size(), stretches};
  }
  [[nodiscard]] std::size_t winner() const {
    return shardlab::winner(predicted.ranked.predicted_s);
  }
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
    if (!contests_.empty() && options_.policies.size() > 1) race();
    if (contests_.empty()) {
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
  void run(const RankingCase& drawn, const EmulationOverhead& overhead,
           std::vector<std::size_t>& done);
  bool run_once(Contest& contest, std::size_t policy, Stretch& stretch);
  void race();
  void say(const std::string& text);
  void conclude();

  const Options& options_;
  std::chrono::steady_clock::time_point start_;
  Interrupt interrupt_;
  ProgressLine line_;
  std::unique_ptr<Engine> engine_;
  RankingRuns how_;
  RankingFound found_;
  std::vector<Contest> contests_;
  std::vector<std::size_t> emulated_, cpu_;  ///< Of them.
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
    run(drawn, overhead, emulated_);
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
    run(draw_cpu_case(options_.seed, i, profile, file("text.txt")), {}, cpu_);
  }
}

/// False when it was interrupted.
bool RankingStudy::run_once(Contest& contest, std::size_t policy, Stretch& stretch) {
  const MeasuredRun took = run_case(contest.predicted, policy, how_);
  if (stopped()) return false;
  stretch.push_back(took);
  const RankedCase& ranked = contest.predicted.ranked;
  say(fmt::format("{:<12} {:<14} predicted {:6.3f} s, naive {:6.3f} s, measured {:6.3f} s",
                  ranked.name, options_.policies[policy], ranked.predicted_s[policy],
                  ranked.naive_s[policy], took.makespan_s));
  return true;
}

void RankingStudy::run(const RankingCase& drawn, const EmulationOverhead& overhead,
                       std::vector<std::size_t>& done) {
  Contest contest{predicted_case(drawn, how_, overhead)};
  Stretch& all = contest.stretches.emplace_back();
  const auto rounds = static_cast<std::size_t>(options_.rounds);
  for (std::size_t round = 0; round < rounds; ++round) {
    for (const std::size_t policy : round_order(options_.policies.size(), round, rounds)) {
      if (!run_once(contest, policy, all)) return;
    }
  }
  done.push_back(contests_.size());
  contests_.push_back(std::move(contest));
}

/// Until the time is over: where the regret is least known, the predicted winner against the one
/// that may be furthest below it, in turns. What is chosen by is the interval's width, not the
/// regret: else regrets that are too high by chance would be looked at again, and others not.
void RankingStudy::race() {
  std::vector<double> width;
  for (const Contest& contest : contests_) {
    width.push_back(contest.makespans().regret(contest.winner()).width());
  }
  std::size_t before = contests_.size();
  while (!stopped()) {
    const auto least = static_cast<std::size_t>(std::ranges::max_element(width) - width.begin());
    Contest& contest = contests_[least];
    const PolicyMakespans known = contest.makespans();
    const std::size_t winner = contest.winner(), rival = known.rival(winner);
    const double turn_s = 2 * known.raw_s()[winner] + known.raw_s()[rival];
    if (width[least] == 0 || elapsed() + turn_s > options_.until) return;
    if (least != before) contest.stretches.emplace_back();
    before = least;
    Stretch& stretch = contest.stretches.back();
    if (stretch.empty() && !run_once(contest, winner, stretch)) return;
    if (!run_once(contest, rival, stretch) || !run_once(contest, winner, stretch)) return;
    width[least] = contest.makespans().regret(winner).width();
  }
}

void RankingStudy::conclude() {
  line_.clear();
  for (Contest& contest : contests_) {
    set_measured(contest.makespans(), contest.predicted.ranked);
    cases_.push_back(case_json(contest.predicted, contest.stretches));
  }
  for (const std::size_t each : emulated_)
    found_.emulated.push_back(contests_[each].predicted.ranked);
  for (const std::size_t each : cpu_) found_.cpu.push_back(contests_[each].predicted.ranked);
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
  app.add_option("--rounds", options->rounds,
                 "runs of each workload under each policy before the time left goes where regrets "
                 "are least "
                 "known")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seed", options->seed, "that the workloads are drawn from")
      ->check(non_negative())
      ->capture_default_str();
  app.add_option("--seconds", options->seconds, "how long to profile the CPU workloads' models")
      ->check(positive())
      ->capture_default_str();
  app.add_option(
         "--until", options->until,
         "seconds from the start until which runs are repeated where regrets are least known")
      ->check(non_negative())
      ->capture_default_str();
  app.add_option("-o,--output", options->folder, "folder for cases.json and the profile")
      ->capture_default_str();
  add_json_flag(app, options->json);
  app.footer(
      "Runs every workload under every policy: trained on two CPU devices with paced links, and "
      "on eight emulated\ndevices of mixed speeds. Nothing else should use the machine meanwhile. "
      "Takes up to ten minutes on two cores.\nMakespans are adjusted to the machine's speed, which "
      "drifts: by what runs just before and after took\nbeyond their policies' means (Papadakis' "
      "analysis of covariance). --json has the same without that\nunder \"raw\", by a model of "
      "computing alone under \"naive\", and intervals of 95 % of regrets.\nExamples:\n"
      "  shardlab validate ranking --json\n"
      "  shardlab validate ranking --cpu 0 --emulated 5 --policies lrtf,srtf --until 60");
  return [options] { return RankingStudy(*options).run(); };
}

}  // namespace shardlab
