#include "report/table.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace shardlab {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

/// Rank, number, percentage or factor; "-" and "" say that there is none.
bool looks_like_number(const std::string& cell) {
  if (cell.empty() || cell == "-") return true;
  const std::size_t first = cell.find_first_not_of("=<>~+-");
  if (first == std::string::npos || !digit(cell[first])) return false;
  const std::size_t rest = cell.find_first_not_of("0123456789.e+-", first);
  if (rest == std::string::npos) return true;
  const std::string unit = cell.substr(rest);
  return unit == " %" || unit == "%" || unit == "x" || unit == "×";
}

struct Escape {
  std::string_view plain, written;
};

constexpr Escape kMarkdown[] = {{"|", "\\|"}, {"*", "\\*"}, {"_", "\\_"}, {"<", "&lt;"}};

constexpr Escape kLatex[] = {{"\\", "\\textbackslash{}"},
                             {"&", "\\&"},
                             {"%", "\\%"},
                             {"$", "\\$"},
                             {"#", "\\#"},
                             {"_", "\\_"},
                             {"{", "\\{"},
                             {"}", "\\}"},
                             {"~", "\\textasciitilde{}"},
                             {"^", "\\textasciicircum{}"},
                             {"<", "$<$"},
                             {">", "$>$"},
                             {"±", "$\\pm$"},
                             {"×", "$\\times$"},
                             {"µ", "$\\mu$"},
                             {"−", "$-$"},
                             {"≤", "$\\le$"},
                             {"≥", "$\\ge$"}};

template <std::size_t N>
std::string escaped(std::string_view text, const Escape (&escapes)[N]) {
  std::string all;
  while (!text.empty()) {
    const auto* found = std::find_if(std::begin(escapes), std::end(escapes), [&](const auto& each) {
      return text.starts_with(each.plain);
    });
    const bool special = found != std::end(escapes);
    const std::string_view taken = special ? found->plain : text.substr(0, 1);
    all += special ? found->written : taken;
    text.remove_prefix(taken.size());
  }
  return all;
}

/// Three digits of a value below 1000.
std::string three_digits(double value, const char* unit) {
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, unit);
}

}  // namespace

TextTable::TextTable(std::vector<std::string> headers) { rows_.push_back(std::move(headers)); }

void TextTable::row(std::vector<std::string> cells) {
  assert(cells.size() == rows_.front().size());
  rows_.push_back(std::move(cells));
}

std::vector<bool> TextTable::right_aligned() const {
  std::vector<bool> right(rows_.front().size(), rows_.size() > 1);
  for (std::size_t r = 1; r < rows_.size(); ++r) {
    for (std::size_t c = 0; c < right.size(); ++c) {
      if (!looks_like_number(rows_[r][c])) right[c] = false;
    }
  }
  return right;
}

std::string TextTable::text() const {
  const std::vector<bool> right = right_aligned();
  std::vector<std::size_t> widths(right.size(), 0);
  for (const auto& cells : rows_) {
    for (std::size_t c = 0; c < cells.size(); ++c) {
      widths[c] = std::max(widths[c], display_width(cells[c]));
    }
  }
  std::string all;
  for (const auto& cells : rows_) {
    std::string line;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string pad(widths[c] - display_width(cells[c]), ' ');
      line += (c == 0 ? "" : "  ") + (right[c] ? pad + cells[c] : cells[c] + pad);
    }
    all += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  return all;
}

std::string TextTable::markdown() const {
  std::string all;
  for (const auto& cells : rows_) {
    for (const std::string& cell : cells) all += "| " + escaped(cell, kMarkdown) + ' ';
    all += "|\n";
    if (&cells != &rows_.front()) continue;
    for (const bool right : right_aligned()) all += right ? "|---:" : "|---";
    all += "|\n";
  }
  return all;
}

std::string TextTable::latex() const {
  std::string all = "\\begin{tabular}{";
  for (const bool right : right_aligned()) all += right ? 'r' : 'l';
  all += "}\n\\hline\n";
  for (const auto& cells : rows_) {
    for (std::size_t c = 0; c < cells.size(); ++c) {
      all += (c == 0 ? "" : " & ") + latex_text(cells[c]);
    }
    all += " \\\\\n";
    if (&cells == &rows_.front()) all += "\\hline\n";
  }
  return all + "\\hline\n\\end{tabular}\n";
}

std::string latex_text(std::string_view plain) { return escaped(plain, kLatex); }

std::size_t display_width(std::string_view text) {
  // Bytes 10xxxxxx continue a character of UTF-8.
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string format_duration(Duration duration) {
  const std::int64_t ns = duration.count();
  if (ns < 0) return "-" + format_duration(ns == INT64_MIN ? Duration::max() : -duration);
  const double value = static_cast<double>(ns);
  if (ns < 1'000) return fmt::format("{} ns", ns);
  if (value < 999.5e3) return three_digits(value * 1e-3, "µs");
  if (value < 999.5e6) return three_digits(value * 1e-6, "ms");
  if (value < 119.5e9) return three_digits(value * 1e-9, "s");
  const auto whole = static_cast<std::int64_t>(std::llround(value * 1e-9));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  const std::int64_t minutes = (whole + 30) / 60;
  return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

std::string TimeUnit::number(double seconds) const {
  return fmt::format("{:.3f}", seconds * per_second);
}

TimeUnit time_unit(double longest_s) {
  if (longest_s <= 0 || longest_s >= 0.1) return {"s", 1};
  if (longest_s >= 0.1e-3) return {"ms", 1e3};
  if (longest_s >= 0.1e-6) return {"µs", 1e6};
  return {"ns", 1e9};
}

std::string format_mebibytes(Bytes bytes) {
  if (bytes == kUnlimited) return "-";
  return fmt::format("{:.1f}", static_cast<double>(bytes) * 0x1p-20);
}

std::string format_percent(double fraction) {
  const std::string text = fmt::format("{:.1f} %", fraction * 100);
  return text == "-0.0 %" ? "0.0 %" : text;
}

}  // namespace shardlab
