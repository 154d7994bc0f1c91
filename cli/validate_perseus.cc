#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/verbs.h"
#include "core/parallel.h"
#include "validate/perseus.h"
#include "validate/perseus_report.h"

namespace shardlab {
namespace {

struct Options {
  std::string folder;
  std::size_t threads = default_threads();
  bool json = false;
};

int validate(const Options& options) {
  const PerseusValidation found = validate_perseus(options.folder, options.threads);
  print_warnings(found.warnings);
  if (options.json) {
    print_json("validate-perseus", perseus_json(found));
  } else {
    print_text(perseus_text(found));
  }
  return found.refused.empty() ? 0 : 1;
}

}  // namespace

Action declare_validate_perseus(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("DIR", options->folder,
                 "folder with *.prof.json at any depth, below a folder per machine")
      ->required();
  app.add_option("--threads", options->threads, "runs read and simulated at once (all cores)")
      ->check(CLI::Range(1, 1024));
  add_json_flag(app, options->json);
  app.footer(
      "Replays each pipeline with the time that every pass of it took. Transfers between stages "
      "and the optimizer's step\n"
      "are fitted per machine, on one half of its runs, and applied to the other. `blind`: "
      "medians per stage over the\n"
      "first half of the iterations predict the second. More in docs/validation.md.\n"
      "Example:\n"
      "  shardlab validate perseus perseus/ --json");
  return [options] { return validate(*options); };
}

}  // namespace shardlab
