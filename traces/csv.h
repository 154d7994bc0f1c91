#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shardlab {

/// Whether a line that begins with `#` is passed over. Not in files of others: their header may
/// begin so.
enum class CsvComments : std::uint8_t { kNone, kHash };

/// A CSV text, row by row: a header with the names of the columns, then one record per row.
///
/// As RFC 4180 has it: fields between commas, in double quotes where they hold a comma, a line
/// break or a quote, which is then doubled. Also: a byte order mark, lines that end with LF, spaces
/// and tabs around a field, blank lines (passed over). Beside the text it keeps one row.
///
/// Every Error begins with `origin:line:`, the line in which the row begins.
class CsvReader {
 public:
  static constexpr std::size_t kMostColumns = 1024;

  /// Reads the header. Requires: `text` outlives the reader. Throws Error when there is none, when
  /// two columns have one name, and on bad quotes.
  CsvReader(std::string_view text, std::string origin, CsvComments comments = CsvComments::kNone);
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

  [[nodiscard]] const std::vector<std::string>& columns() const { return columns_; }
  /// Where a column stands, if it is there.
  [[nodiscard]] std::optional<std::size_t> find(std::string_view column) const;
  /// Where it stands. Throws Error naming it when it is missing.
  [[nodiscard]] std::size_t column(std::string_view name) const;
  /// Throws Error naming the first column that is not of `known`, and the nearest that is.
  void refuse_unknown_columns(std::span<const std::string_view> known) const;

  /// Goes on to the next row; false after the last. Throws Error on bad quotes, and when the row
  /// has not as many fields as the header.
  bool next();
  /// Fields of the row, valid until next().
  [[nodiscard]] std::string_view operator[](std::size_t column) const { return fields_[column]; }
  /// Where the row begins, from 1.
  [[nodiscard]] std::int64_t line() const { return row_line_; }
  /// `jobs.csv:7`, `jobs.csv:7: width`: the context of errors about the row and its fields.
  [[nodiscard]] std::string place() const;
  [[nodiscard]] std::string place(std::size_t column) const;

 private:
  bool read_record();
  bool skip_what_is_no_record();
  void read_plain();
  void read_quoted();
  bool end_field();
  void skip_spaces();
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] bool at_line_end() const;
  void take_line_end();
  [[noreturn]] void fail(const std::string& what) const;

  std::string_view text_;
  std::string origin_;
  CsvComments comments_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
  std::int64_t row_line_ = 1;
  std::vector<std::string> columns_;
  std::vector<std::string_view> fields_;
  std::deque<std::string> undoubled_;  ///< Fields of the row that had doubled quotes.
};

/// An integer, as `4` or `-4`. Throws Error "must be ..., is ..." without a place.
std::int64_t csv_integer(std::string_view field);

/// A finite number, as `4`, `0.5` or `1e-3`. Throws Error "must be ..., is ..." without a place.
double csv_number(std::string_view field);

}  // namespace shardlab
