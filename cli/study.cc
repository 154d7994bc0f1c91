#include "study/study.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/result.h"
#include "cli/saved_instance.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/parallel.h"
#include "study/builtin_grids.h"
#include "study/report.h"
#include "traces/atomic_file.h"
#include "traces/csv_rows.h"
#include "traces/input_files.h"

namespace shardlab {
namespace {

struct Options {
  std::vector<std::string> grids, policies;
  std::uint64_t seed = 1;
  std::optional<std::int64_t> instances;
  std::size_t threads = default_threads();
  std::string csv, latex, markdown, shown_grid;
  std::vector<std::string> saved;  ///< SETTING,INSTANCE and a folder.
  ResultOption result;
  bool json = false;
};

const BuiltinGrid* builtin(const std::string& name) {
  const auto all = builtin_grids();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.name == name; });
  return found == all.end() ? nullptr : &*found;
}

/// The name of one that comes along goes before a file of that name.
StudyGrid read_grid(const std::string& name) {
  const BuiltinGrid* known = builtin(name);
  if (known == nullptr) return read_study_grid(name);
  const std::string text = input(name, [&] { return std::string(known->toml); });
  return parse_study_grid(text, name);
}

std::vector<StudyGrid> read_grids(const Options& options) {
  std::vector<std::string> names = options.grids;
  if (names.empty()) {
    for (const BuiltinGrid& each : builtin_grids()) names.emplace_back(each.name);
  }
  std::vector<StudyGrid> grids;
  for (const std::string& name : names) {
    StudyGrid grid = read_grid(name);
    if (options.instances) grid.instances = *options.instances;
    if (!options.policies.empty()) {
      grid.policies = options.policies;
      grid.policy_places.assign(grid.policies.size(), name + ": --policies");
    }
    if (std::any_of(grids.begin(), grids.end(),
                    [&](const StudyGrid& other) { return other.name == grid.name; })) {
      throw Error(fmt::format("{}: two grids are called {}; names must differ", name, grid.name));
    }
    keep_shared_objects(policies_of(grid));
    grids.push_back(std::move(grid));
  }
  return grids;
}

/// What was simulated until all was or Ctrl-C.
struct Studied {
  std::vector<Study> studies;  ///< Those of which every setting has at least one instance.
  std::string missing;         ///< Of the rest, in words; empty: nothing.
};

std::string missing_text(const Study& study) {
  return fmt::format("{} has {} of {} instances in each of its {} settings", study.grid.name,
                     study.grid.instances, study.wanted, study.cells.size());
}

Studied run_studies(const Options& options) {
  using Clock = std::chrono::steady_clock;
  const Interrupt interrupt;
  Studied made;
  std::size_t settings = 0, done = 0;
  std::string fewer;
  for (const StudyGrid& grid : read_grids(options)) {
    settings += cells(grid).size();
    if (interrupt.stop()) continue;
    ProgressLine line;
    const Clock::time_point begin = Clock::now();
    const auto progress = [&](std::size_t ended, std::size_t of) {
      if (interrupt.stop()) return false;
      if (!line.shown()) return true;
      const auto so_far = std::chrono::duration<double>(Clock::now() - begin).count();
      const double left = so_far / static_cast<double>(ended) * static_cast<double>(of - ended);
      line.update(fmt::format("{}: {} of {} instances simulated, about {:.0f} s left", grid.name,
                              ended, of, left));
      return true;
    };
    Study study = run_study(grid, options.seed, options.threads, progress);
    if (study.cells.empty()) continue;
    done += study.cells.size();
    if (study.grid.instances < study.wanted) fewer = missing_text(study);
    made.studies.push_back(std::move(study));
  }
  if (done == settings && fewer.empty()) return made;
  made.missing = fmt::format("{} of {} settings are missing", settings - done, settings);
  if (!fewer.empty()) made.missing += ", and " + fewer;
  return made;
}

/// How a report was made, and how to make it again.
std::string origin(const Result& result, const std::string& missing) {
  std::string command = "shardlab study";
  for (const std::string& argument : result.arguments) command += " " + argument;
  return fmt::format(
      "Made by `{}`: version {}, seed {}, XXH3 of the inputs {}, of the output {}. {}", command,
      result.shardlab, result.seed, inputs_hash(result), output_hash(result),
      missing.empty() ? "The same command gives the same bytes."
                      : "It was interrupted: " + missing + ".");
}

void write_reports(const Options& options, const Studied& made, const Result& result) {
  const std::vector<Study>& studies = made.studies;
  if (made.missing.empty()) options.result.write(result);
  if (!options.csv.empty()) {
    write_file_atomically(options.csv, csv_text(study_rows(studies)));
  }
  if (!options.latex.empty()) {
    write_file_atomically(options.latex, study_latex(studies, origin(result, made.missing)));
  }
  if (!options.markdown.empty()) {
    const auto folder = std::filesystem::path(options.markdown).parent_path();
    const std::filesystem::path csv = options.csv;
    const std::string link = csv.empty() ? "" : csv.lexically_proximate(folder).generic_string();
    write_file_atomically(options.markdown,
                          study_markdown(studies, origin(result, made.missing), link));
  }
}

nlohmann::ordered_json studied_json(const Studied& made) {
  nlohmann::ordered_json body = study_json(made.studies);
  body["interrupted"] = !made.missing.empty();
  if (!made.missing.empty()) body["missing"] = made.missing;
  return json_document("study", body);
}

int show_grid(const std::string& name) {
  if (const BuiltinGrid* known = builtin(name)) {
    print_text(known->toml);
    return 0;
  }
  std::string names;
  for (const BuiltinGrid& each : builtin_grids()) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", each.name);
  }
  throw UsageError(fmt::format("\"{}\" does not come along; there are {}", name, names));
}

int study(const Options& options) {
  if (!options.shown_grid.empty()) return show_grid(options.shown_grid);
  if (!options.saved.empty()) {
    save_instance(options.saved[0], read_grids(options), options.seed, options.saved[1]);
    return 0;
  }
  for (const std::string& path : {options.csv, options.latex, options.markdown}) {
    if (!path.empty()) refuse_unwritable_file(path);
  }
  const InputRecording recording;
  const Studied made = run_studies(options);
  if (made.studies.empty()) throw Error("interrupted: " + made.missing + "; nothing was written");
  const nlohmann::ordered_json document = studied_json(made);
  write_reports(options, made, options.result.result(recording, options.seed, document));
  if (options.json) {
    print_json(document);
  } else {
    print_text(study_text(made.studies));
  }
  if (made.missing.empty()) return 0;
  return options.result.end_interrupted(made.missing);
}

std::shared_ptr<Options> declare_options(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("GRID", options->grids,
                 "TOML files (docs/formats.md), or names of grids that come along (all of these: "
                 "policies, fig6, fig7)");
  app.add_option("--policies", options->policies, "list, instead of those of the grids")
      ->delimiter(',');
  app.add_option("--instances", options->instances, "per setting, instead of what the grids say")
      ->check(CLI::Range(1, 100'000));
  app.add_option("--seed", options->seed, "of all instances, and of policies that draw (1)")
      ->check(non_negative());
  app.add_option("--threads", options->threads, "instances simulated at once (all cores)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--csv", options->csv, "write one row per policy and setting");
  app.add_option("--latex", options->latex, "write all tables for a paper");
  app.add_option("--markdown", options->markdown,
                 "write a page: what wins where, ties, published figures");
  app.add_option("--show-grid", options->shown_grid, "print a grid that comes along, and stop");
  app.add_option("--save-instance", options->saved,
                 "GRID/SETTING,NUMBER FOLDER: write this instance as inputs of simulate, and stop")
      ->expected(2);
  options->result.declare(app, {"--csv", "--latex", "--markdown", "--show-grid"});
  add_json_flag(app, options->json);
  return options;
}

}  // namespace

Computation recompute_study(CLI::App& app) {
  const auto options = declare_options(app);
  return [options] {
    const Studied made = run_studies(*options);
    if (!made.missing.empty()) throw Error("interrupted: " + made.missing);
    return studied_json(made);
  };
}

Action declare_study(CLI::App& app) {
  const auto options = declare_options(app);
  app.footer(
      "Draws the same instances for every policy; gaps are over the best lower bound, differences "
      "by instance, with 95 %\nintervals. Same seed, same bytes, whatever --threads. Ctrl-C ends "
      "it with the instances that\nall settings have by then, and exit code 1.\nExamples:\n"
      "  shardlab study --csv study.csv --latex study.tex --result study.json\n"
      "  shardlab study my-grid.toml --policies lrtf,srtf --seed 7\n"
      "  shardlab study --save-instance \"policies/heterogeneous/mixed/shared 0.5/2,1\" "
      "look-at-it/");
  return [options] { return study(*options); };
}

}  // namespace shardlab
