#include "traces/result_file.h"

#include <utility>

#include <fmt/format.h>
#include <xxhash.h>

#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/json_object.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFormat = "shardlab-result";
constexpr int kVersion = 1;

/// Inputs may hold bytes that are no UTF-8: refused where they are kept, see write_result().
std::string dumped(const ordered_json& json) { return json.dump(1); }

ordered_json inputs_json(const Result& result) {
  ordered_json inputs = ordered_json::array();
  for (const InputFile& each : result.inputs) {
    inputs.push_back({{"path", each.path}, {"xxh3", xxh3(each.text)}, {"text", each.text}});
  }
  return inputs;
}

void expect_hash(const JsonObject& file, const std::string& key, const std::string& found) {
  const std::string stated = file.text(key);
  if (stated == found) return;
  throw Error(fmt::format("{}: is {}, but what it stands for has {}: the file was changed", key,
                          stated, found));
}

}  // namespace

std::string xxh3(std::string_view text) {
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

std::string header_hash(const Result& result) {
  return xxh3(dumped({{"shardlab", result.shardlab}, {"seed", result.seed}}));
}

std::string inputs_hash(const Result& result) {
  return xxh3(dumped(
      {{"verb", result.verb}, {"arguments", result.arguments}, {"inputs", inputs_json(result)}}));
}

std::string output_hash(const Result& result) { return xxh3(dumped(result.output)); }

std::string result_json(const Result& result) {
  const ordered_json document{{"format", kFormat},
                              {"version", kVersion},
                              {"shardlab", result.shardlab},
                              {"verb", result.verb},
                              {"arguments", result.arguments},
                              {"seed", result.seed},
                              {"header_xxh3", header_hash(result)},
                              {"inputs_xxh3", inputs_hash(result)},
                              {"output_xxh3", output_hash(result)},
                              {"inputs", inputs_json(result)},
                              {"output", result.output}};
  return dumped(document) + "\n";
}

Result parse_result(std::string_view text) {
  const nlohmann::json parsed = parse_json_file(text, kFormat, kVersion);
  const JsonObject file(parsed);
  Result result;
  result.shardlab = file.text("shardlab");
  result.verb = file.text("verb");
  result.seed = file.seed("seed");
  for (const auto& argument : file.array("arguments")) {
    if (!argument.is_string()) throw Error("arguments: must be strings");
    result.arguments.push_back(argument.get<std::string>());
  }
  for (const auto& each : file.array("inputs")) {
    in_context(fmt::format("inputs: {}", result.inputs.size()), [&] {
      const JsonObject input(each);
      result.inputs.push_back({input.text("path"), input.text("text")});
      expect_hash(input, "xxh3", xxh3(result.inputs.back().text));
    });
  }
  // Again, as the order of members counts in what was hashed.
  ordered_json ordered = ordered_json::parse(text);
  if (!ordered.contains("output")) throw Error("output: missing");
  result.output = std::move(ordered["output"]);
  expect_hash(file, "header_xxh3", header_hash(result));
  expect_hash(file, "inputs_xxh3", inputs_hash(result));
  expect_hash(file, "output_xxh3", output_hash(result));
  return result;
}

void write_result(const std::string& path, const Result& result) {
  std::string text;
  try {
    text = result_json(result);
  } catch (const nlohmann::json::type_error&) {
    throw Error(path + ": a result cannot hold an input that is no UTF-8 text");
  }
  write_file_atomically(path, text);
}

Result read_result(const std::string& path) {
  const std::string text = read_whole_file(path);
  return in_context(path, [&] { return parse_result(text); });
}

}  // namespace shardlab
