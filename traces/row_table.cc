#include "traces/row_table.h"

#include <algorithm>

#include "core/suggestion.h"

namespace shardlab {

using nlohmann::json;

RowTable::RowTable(const JsonObject& from, std::span<const std::string_view> wanted,
                   std::size_t late, Others others)
    : rows_(&from.array("rows")), names_(wanted) {
  const json& columns = from.array("columns");
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto found = std::find(columns.begin(), columns.end(), wanted[i]);
    const bool missing = found == columns.end();
    if (missing && i + late < wanted.size()) {
      throw Error(fmt::format("columns: {}: missing", wanted[i]));
    }
    places_.push_back(missing ? kMissing : static_cast<std::size_t>(found - columns.begin()));
  }
  width_ = columns.size();
  if (others == Others::kRefused) refuse_others(from, wanted);
}

void RowTable::refuse_others(const JsonObject& from, std::span<const std::string_view> wanted) {
  constexpr std::array<std::string_view, 2> kKeys{"columns", "rows"};
  from.refuse_unknown_keys(kKeys);
  for (const json& column : from.array("columns")) {
    const std::string name = column.is_string() ? column.get<std::string>() : column.dump();
    if (std::ranges::find(wanted, name) != wanted.end()) continue;
    throw Error(fmt::format("columns: {}: unknown column{}", name, suggestion(name, wanted)));
  }
}

RowTable::Row RowTable::row(std::size_t i) const {
  const json& values = (*rows_)[i];
  if (!values.is_array() || values.size() != width_) {
    throw Error(fmt::format("must be a list of {} values", width_));
  }
  return {values, places_, names_};
}

std::int64_t RowTable::Row::integer(std::size_t column, std::int64_t most) const {
  return in_context(std::string(names[column]),
                    [&] { return json_integer(value(column), 0, most); });
}

const json& RowTable::Row::value(std::size_t column) const {
  static const json zero = 0;
  return has(column) ? values[places[column]] : zero;
}

}  // namespace shardlab
