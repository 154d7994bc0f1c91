#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/engine.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "core/parallel.h"
#include "validate/devices.h"

namespace shardlab {
namespace {

struct Options {
  std::string folder, sheets;
  std::string rate = "half";
  std::size_t threads = default_threads();
  bool json = false;
};

int validate(const Options& options) {
  const auto sheets = read_data_sheets(options.sheets.empty() ? data_sheets() : options.sheets);
  const DeviceValidation found =
      validate_devices(options.folder, sheets, parse_matrix_rate(options.rate), options.threads);
  print_warnings(found.warnings);
  if (options.json) {
    print_json("validate-devices", devices_validation_json(found));
  } else {
    print_text(devices_text(found));
  }
  return 0;
}

}  // namespace

Action declare_validate_devices(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("DIR", options->folder,
                 "folder with *.prof.json at any depth, below a folder per device")
      ->required();
  app.add_option("--data-sheets", options->sheets, "TOML file (profiles/devices.toml)");
  app.add_option("--rate", options->rate, "what matrix products were computed in")
      ->check(CLI::IsMember({"fp32", "tf32", "half"}))
      ->capture_default_str();
  app.add_option("--threads", options->threads, "runs read at once (all cores)")
      ->check(CLI::Range(1, 1024));
  add_json_flag(app, options->json);
  app.footer(
      "Predicts every model on every device from the others' times and the data sheets of both, "
      "and says how often the\nstated 90 % interval holds. Of each model the run that computes "
      "fastest counts: the one at full clocks.\nMore in docs/validation.md.\n"
      "Example:\n  shardlab validate devices perseus/ --json");
  return [options] { return validate(*options); };
}

}  // namespace shardlab
