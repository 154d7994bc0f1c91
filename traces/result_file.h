#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "traces/input_files.h"

namespace shardlab {

/// What a verb found, with all that is needed to find it again.
struct Result {
  std::string shardlab;  ///< Version of the command.
  std::string verb;
  std::vector<std::string> arguments;  ///< Those that say what is computed, not where it goes.
  std::uint64_t seed = 0;
  std::vector<InputFile> inputs;
  nlohmann::ordered_json output;  ///< As the verb prints it with --json.
};

/// XXH3 with 64 bits, as 16 hexadecimal digits.
std::string xxh3(std::string_view text);

/// Of version and seed; of verb, arguments and inputs; of the output.
std::string header_hash(const Result& result);
std::string inputs_hash(const Result& result);
std::string output_hash(const Result& result);

/// Writes JSON, `shardlab-result` version 1. Equal results, equal bytes: there is no date, no
/// machine and no number of threads in it. Atomic: see write_file_atomically.
void write_result(const std::string& path, const Result& result);

/// Throws Error `path: field: what` on another format or version, a missing field, and a hash that
/// is not that of what it stands for: then the file was changed.
Result read_result(const std::string& path);

// The same on a text, without the path in errors.
std::string result_json(const Result& result);
Result parse_result(std::string_view text);

}  // namespace shardlab
