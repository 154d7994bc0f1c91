#include <memory>
#include <string>

#include "cli/output.h"
#include "cli/verbs.h"
#include "core/error.h"

namespace shardlab {
namespace {

struct Options {
  std::string folder;
  bool json = false;
};

int validate(const Options& options) { throw Error(options.folder + ": not read yet"); }

}  // namespace

Action declare_validate_perseus(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("DIR", options->folder, "folder with *.prof.json, at any depth")->required();
  add_json_flag(app, options->json);
  app.footer("Example:\n  shardlab validate perseus perseus/ --json");
  return [options] { return validate(*options); };
}

}  // namespace shardlab
