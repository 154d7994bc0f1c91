#include "traces/csv_rows.h"

#include <nlohmann/json.hpp>

namespace shardlab {
namespace {

using nlohmann::ordered_json;

std::string csv_cell(const ordered_json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return value.dump();
  std::string quoted = "\"";
  for (const char c : value.get<std::string>()) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string csv_text(const ordered_json& rows) {
  std::string text;
  for (const auto& [key, value] : rows.front().items()) text += (text.empty() ? "" : ",") + key;
  for (const auto& each : rows) {
    std::string line;
    for (const auto& [key, value] : each.items()) {
      line += (line.empty() ? "" : ",") + csv_cell(value);
    }
    text += "\n" + line;
  }
  return text + "\n";
}

}  // namespace shardlab
