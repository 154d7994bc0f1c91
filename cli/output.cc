#include "cli/output.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace shardlab {

void add_json_flag(CLI::App& app, bool& json) {
  app.add_flag("--json", json, "print one JSON object for scripts (docs/formats.md)");
}

nlohmann::ordered_json json_document(std::string_view verb, const nlohmann::ordered_json& body) {
  nlohmann::ordered_json document{{"format", fmt::format("shardlab-{}", verb)}, {"version", 1}};
  document.update(body);
  return document;
}

void print_json(std::string_view verb, const nlohmann::ordered_json& body) {
  print_json(json_document(verb, body));
}

void print_json(const nlohmann::ordered_json& document) {
  using Handler = nlohmann::ordered_json::error_handler_t;
  print_text(document.dump(1, ' ', false, Handler::replace) + "\n");
}

void print_text(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void print_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& each : warnings) fmt::print(stderr, "shardlab: warning: {}\n", each);
}

void refuse_overwriting(const std::string& output, const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) {
    std::error_code missing;
    if (input.empty() || !std::filesystem::equivalent(output, input, missing)) continue;
    throw UsageError(fmt::format("--output {}: is the input {}; give another path", output, input));
  }
}

void make_folder(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) throw Error(path + ": cannot make this folder: " + failed.message());
}

void refuse_unwritable(const std::string& path) {
  if (path.empty()) throw UsageError("where to? The path of the output is empty");
  std::error_code ignored;  // make_folder says what is wrong.
  std::vector<std::filesystem::path> missing;
  for (auto folder = std::filesystem::absolute(path); !std::filesystem::exists(folder, ignored);
       folder = folder.parent_path()) {
    missing.push_back(folder);
  }
  make_folder(path);
  const bool writable = access(path.c_str(), W_OK | X_OK) == 0;
  const std::string why = writable ? "" : std::generic_category().message(errno);
  for (const auto& folder : missing) std::filesystem::remove(folder, ignored);
  if (!writable) throw Error(path + ": cannot write here: " + why + "; give another with --output");
}

void refuse_unwritable_file(const std::string& path) {
  if (path.empty()) throw UsageError("where to? The path of the output is empty");
  const std::filesystem::path file = std::filesystem::absolute(path);
  const auto refuse = [&](const std::string& why) {
    throw Error(path + ": cannot write here: " + why + "; give another path");
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) refuse("it is a folder");
  if (std::filesystem::exists(file, ignored) && !std::filesystem::is_regular_file(file, ignored)) {
    if (access(file.c_str(), W_OK) != 0) refuse(std::generic_category().message(errno));
    return;
  }
  // A file is made beside the old one, so the folder must take one; only trying tells.
  std::string probe = (file.parent_path() / ".shardlab-XXXXXX").string();
  const int descriptor = mkstemp(probe.data());
  if (descriptor < 0) refuse(std::generic_category().message(errno));
  close(descriptor);
  unlink(probe.c_str());
}

}  // namespace shardlab
