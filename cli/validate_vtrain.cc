#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "traces/vtrain_file.h"
#include "validate/vtrain.h"

namespace shardlab {
namespace {

constexpr const char* kFile = "ground_truth_single.csv";

struct Options {
  std::string path;
  std::uint64_t seed = 1;
  bool json = false;
};

/// A folder stands for the file in it that has this name; nothing for that of $SHARDLAB_DATA.
std::string file_of(const std::string& given) {
  namespace fs = std::filesystem;
  fs::path path = given;
  if (given.empty()) {
    const char* data = std::getenv("SHARDLAB_DATA");
    if (data == nullptr) {
      throw UsageError("name vTrain's CSV or its folder, or set SHARDLAB_DATA to what has vtrain/");
    }
    path = fs::path(data) / "vtrain";
  }
  std::error_code ignored;
  return (fs::is_directory(path, ignored) ? path / kFile : path).string();
}

int validate(const Options& options) {
  const std::string file = file_of(options.path);
  const auto rows = read_vtrain(file);
  const auto validation = in_context(file, [&] { return validate_vtrain(rows, options.seed); });
  if (options.json) {
    print_json("validate-vtrain", vtrain_json(validation));
  } else {
    print_text(vtrain_text(validation));
  }
  return 0;
}

}  // namespace

Action declare_validate_vtrain(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("PATH", options->path,
                 "CSV as vTrain publishes it, or a folder with ground_truth_single.csv; else "
                 "$SHARDLAB_DATA/vtrain");
  app.add_option("--seed", options->seed, "which tenth of the rows the costs are fitted on")
      ->check(non_negative())
      ->capture_default_str();
  add_json_flag(app, options->json);
  app.footer("Example:\n  shardlab validate vtrain vtrain/ground_truth_single.csv --seed 2");
  return [options] { return validate(*options); };
}

}  // namespace shardlab
