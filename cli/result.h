#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>

#include "traces/result_file.h"

namespace shardlab {

/// `--result FILE` of a verb whose output `rerun` can compute again.
class ResultOption {
 public:
  /// Adds the option. `left_out` are options that say where the output goes or how fast, not what
  /// it is. Requires: `app` outlives this.
  void declare(CLI::App& app, std::vector<std::string> left_out);

  [[nodiscard]] bool wanted() const { return !path_.empty(); }
  /// What the verb was asked for, its inputs and its output.
  [[nodiscard]] Result result(const InputRecording& inputs, std::uint64_t seed,
                              const nlohmann::ordered_json& output) const;
  /// Where it is wanted.
  void write(const Result& result) const;
  /// Says on stderr that Ctrl-C ended the verb, and what it wrote all the same: its exit code.
  /// Throws Error where a result is wanted: `rerun` would not find the same.
  [[nodiscard]] int end_interrupted(const std::string& written) const;

 private:
  [[nodiscard]] std::vector<std::string> arguments() const;

  const CLI::App* app_ = nullptr;
  std::vector<std::string> left_out_;
  std::string path_;
};

/// For results of policies that are shared objects: a recording keeps their hash in place of their
/// text. Throws Error naming the one that is not what it was when the recording was made. Names of
/// other policies pass, and what only the system's loader finds.
void keep_shared_objects(const std::vector<std::string>& policies);

}  // namespace shardlab
