#include "cli/result.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "cli/output.h"
#include "core/error.h"
#include "policies/external.h"
#include "traces/atomic_file.h"

namespace shardlab {

void ResultOption::declare(CLI::App& app, std::vector<std::string> left_out) {
  app.add_option("--result", path_,
                 "write inputs, version, seed, hashes and what --json prints: shardlab rerun "
                 "computes it again");
  app_ = &app;
  left_out_ = std::move(left_out);
  for (const char* each : {"--help", "--result", "--json", "--threads"}) left_out_.push_back(each);
}

std::vector<std::string> ResultOption::arguments() const {
  std::vector<std::string> all;
  for (const CLI::Option* option : app_->get_options()) {
    const std::string name = option->get_name();
    const bool out = std::any_of(left_out_.begin(), left_out_.end(),
                                 [&](const std::string& each) { return option->check_name(each); });
    if (option->count() == 0 || out) continue;
    const bool flag = option->get_items_expected_max() == 0;
    for (const std::string& value : option->results()) {
      all.push_back(option->get_positional() ? value : flag ? name : name + "=" + value);
    }
  }
  return all;
}

Result ResultOption::result(const InputRecording& inputs, std::uint64_t seed,
                            const nlohmann::ordered_json& output) const {
  return {SHARDLAB_VERSION, app_->get_name(), arguments(), seed, inputs.files(), output};
}

void ResultOption::write(const Result& result) const {
  if (wanted()) write_result(path_, result);
}

int ResultOption::end_interrupted(const std::string& written) const {
  print_warnings({"interrupted: " + written});
  if (!wanted()) return 1;
  throw Error(path_ + ": not written: it was interrupted, so rerun would not find the same");
}

void keep_shared_objects(const std::vector<std::string>& policies) {
  for (const std::string& name : policies) {
    const std::string path = external_path(name);
    std::error_code ignored;
    if (!is_external(name) || !std::filesystem::is_regular_file(path, ignored)) continue;
    const std::string is = "shared object, XXH3 " + xxh3(read_from_disk(path));
    const std::string was = input(path, [&] { return is; });
    if (was != is) throw Error(path + ": is another file than in the result: " + was + " then");
  }
}

}  // namespace shardlab
