#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/time.h"
#include "traces/json_object.h"

namespace shardlab {

/// `{"columns": [...], "rows": [...]}`, one row a line: readable, and two files can be compared
/// line by line.
template <typename Entry>
std::string rows_json(std::span<const std::string_view> columns, const std::vector<Entry>& entries,
                      std::string (*row)(const Entry&)) {
  std::string text =
      fmt::format("{{\"columns\": [\"{}\"], \"rows\": [", fmt::join(columns, "\", \""));
  for (std::size_t i = 0; i < entries.size(); ++i)
    text += (i == 0 ? "\n" : ",\n") + row(entries[i]);
  return text + "]}";
}

/// A table of rows, read by column name, as a later version may add columns.
class RowTable {
 public:
  /// The last `late` of the wanted columns may be missing: they mean 0, unless the reader asks.
  /// Throws Error on another column that is missing, and where `others` are refused also on one
  /// that is not wanted, and on what is no table's key. Requires: `from` and `wanted` outlive it.
  enum class Others { kIgnored, kRefused };
  RowTable(const JsonObject& from, std::span<const std::string_view> wanted, std::size_t late,
           Others others = Others::kIgnored);

  struct Row {
    const nlohmann::json& values;
    const std::vector<std::size_t>& places;
    std::span<const std::string_view> names;

    [[nodiscard]] bool has(std::size_t column) const { return places[column] != kMissing; }
    [[nodiscard]] std::int64_t integer(std::size_t column, std::int64_t most = kMostInFile) const;
    [[nodiscard]] Instant instant(std::size_t column) const {
      return Instant(Duration(integer(column)));
    }
    /// The enumerator among `all` that is called so.
    template <typename Enum, std::size_t kSize>
    [[nodiscard]] Enum one_of(std::size_t column, const std::array<Enum, kSize>& all) const {
      for (const Enum each : all) {
        if (value(column) == to_string(each)) return each;
      }
      throw Error(fmt::format("{}: {} is unknown", names[column], value(column).dump()));
    }

   private:
    [[nodiscard]] const nlohmann::json& value(std::size_t column) const;
  };

  /// Calls `read` on each row, whose `integer(i)` is the i-th wanted column's value. Errors begin
  /// with the number of the row.
  template <typename Read>
  void each(const Read& read) const {
    for (std::size_t i = 0; i < rows_->size(); ++i) {
      in_context(fmt::format("row {}", i), [&] { read(row(i)); });
    }
  }

 private:
  static constexpr std::size_t kMissing = SIZE_MAX;
  static void refuse_others(const JsonObject& from, std::span<const std::string_view> wanted);
  [[nodiscard]] Row row(std::size_t i) const;

  const nlohmann::json* rows_;
  std::span<const std::string_view> names_;
  std::vector<std::size_t> places_;
  std::size_t width_ = 0;
};

}  // namespace shardlab
