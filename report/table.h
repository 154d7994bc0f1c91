#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/time.h"

namespace shardlab {

/// A small table of text for a terminal. Columns of numbers (`12.5`, `=1`, `-3 %`, and `-` for
/// none) stand to the right, others to the left. Units belong in the headers.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headers);

  /// One cell per header; asserted.
  void row(std::vector<std::string> cells);

  /// Lines with an end of line each, two spaces between columns, no space at the end of a line.
  [[nodiscard]] std::string text() const;

  /// The same as a table of Markdown, and as a `tabular` of LaTeX, whose special characters are
  /// escaped in either.
  [[nodiscard]] std::string markdown() const;
  [[nodiscard]] std::string latex() const;

 private:
  [[nodiscard]] std::vector<bool> right_aligned() const;

  std::vector<std::vector<std::string>> rows_;  // The headers are the first.
};

/// With the characters escaped that mean something in LaTeX, also those beyond ASCII that tables of
/// ours have. Requires: T1 or an engine that reads UTF-8 for all others.
std::string latex_text(std::string_view plain);

/// Columns that a terminal needs: characters, not bytes. Wide (East Asian) characters count as one.
std::size_t display_width(std::string_view text);

/// "417 ns", "12.3 µs", "4.56 s", "3 min 20 s", "2 h 05 min": about three digits.
std::string format_duration(Duration duration);

/// Of a column of times: the largest unit in which the longest of them is not less than a tenth.
struct TimeUnit {
  const char* name;  ///< "s", "ms", "µs" or "ns".
  double per_second;

  /// "12.346", without the unit.
  [[nodiscard]] std::string number(double seconds) const;
};
TimeUnit time_unit(double longest_s);

/// 0.1234 → "12.3 %".
std::string format_percent(double fraction);

/// MiB with one decimal, without the unit, for a column that names it; "-" for kUnlimited.
std::string format_mebibytes(Bytes bytes);

}  // namespace shardlab
