#include "traces/csv.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/suggestion.h"
#include "traces/value.h"

namespace shardlab {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

bool is_space(char c) { return c == ' ' || c == '\t'; }

/// What a message shows of a field.
std::string_view shown(std::string_view field) { return field.substr(0, 60); }

template <typename Number>
Number parse(std::string_view field, std::string_view wanted) {
  Number value{};
  const char* const end = field.data() + field.size();
  const auto [stop, problem] = std::from_chars(field.data(), end, value);
  if (problem == std::errc::result_out_of_range) {
    throw Error(fmt::format("is too large: {}", shown(field)));
  }
  if (problem != std::errc{} || stop != end) {
    throw Error(fmt::format("must be {}, is \"{}\"", wanted, shown(field)));
  }
  return value;
}

}  // namespace

CsvReader::CsvReader(std::string_view text, std::string origin, CsvComments comments)
    : text_(text), origin_(std::move(origin)), comments_(comments) {
  if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
  if (!read_record()) throw Error(origin_ + ": is empty; its first line must name the columns");
  columns_.assign(fields_.begin(), fields_.end());
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (*find(columns_[i]) != i) fail(columns_[i] + ": two columns have this name");
  }
}

std::optional<std::size_t> CsvReader::find(std::string_view column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) return {};
  return static_cast<std::size_t>(found - columns_.begin());
}

std::size_t CsvReader::column(std::string_view name) const {
  if (const auto found = find(name)) return *found;
  const std::vector<std::string_view> there(columns_.begin(), columns_.end());
  throw Error(
      fmt::format("{}: {}: no column has this name{}", origin_, name, suggestion(name, there)));
}

void CsvReader::refuse_unknown_columns(std::span<const std::string_view> known) const {
  for (const std::string& column : columns_) {
    if (std::find(known.begin(), known.end(), column) != known.end()) continue;
    fail(fmt::format("{}: unknown column{}", column, suggestion(column, known)));
  }
}

bool CsvReader::next() {
  if (!read_record()) return false;
  if (fields_.size() == columns_.size()) return true;
  fail(fmt::format("has {} fields, the header has {}", fields_.size(), columns_.size()));
}

std::string CsvReader::place() const { return fmt::format("{}:{}", origin_, row_line_); }

std::string CsvReader::place(std::size_t column) const {
  return fmt::format("{}:{}: {}", origin_, row_line_, columns_[column]);
}

bool CsvReader::read_record() {
  if (!skip_what_is_no_record()) return false;
  row_line_ = line_;
  fields_.clear();
  undoubled_.clear();
  do {
    if (fields_.size() == kMostColumns) fail(fmt::format("more than {} fields", kMostColumns));
    skip_spaces();
    if (!at_end() && text_[at_] == '"') {
      read_quoted();
    } else {
      read_plain();
    }
  } while (end_field());
  return true;
}

/// Blank lines and comments; false at the end of the text.
bool CsvReader::skip_what_is_no_record() {
  while (!at_end()) {
    const std::size_t begin = at_;
    skip_spaces();
    if (at_end()) break;
    if (comments_ == CsvComments::kHash && text_[at_] == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      if (at_end()) break;
    } else if (!at_line_end()) {
      at_ = begin;
      return true;
    }
    take_line_end();
  }
  return false;
}

void CsvReader::read_plain() {
  const std::size_t begin = at_;
  while (!at_end() && text_[at_] != ',' && !at_line_end()) {
    if (text_[at_] == '"') {
      fail("a quote inside a field; put the whole field into quotes and double those inside");
    }
    ++at_;
  }
  std::size_t end = at_;
  while (end > begin && is_space(text_[end - 1])) --end;
  fields_.push_back(text_.substr(begin, end - begin));
}

void CsvReader::read_quoted() {
  const std::size_t begin = ++at_;
  bool doubled = false;
  for (;; at_ += 2, doubled = true) {
    const std::size_t quote = text_.find('"', at_);
    if (quote == std::string_view::npos) fail("a quote is opened and not closed");
    line_ += std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                        text_.begin() + static_cast<std::ptrdiff_t>(quote), '\n');
    at_ = quote;
    if (!text_.substr(at_ + 1).starts_with('"')) break;
  }
  const std::string_view raw = text_.substr(begin, at_ - begin);
  ++at_;
  skip_spaces();
  if (!doubled) {
    fields_.push_back(raw);
    return;
  }
  std::string& field = undoubled_.emplace_back();
  for (std::size_t i = 0; i < raw.size(); ++i) {
    field += raw[i];
    if (raw[i] == '"') ++i;
  }
  fields_.push_back(field);
}

/// After a field: true when another follows in this row.
bool CsvReader::end_field() {
  if (at_end()) return false;
  if (at_line_end()) {
    take_line_end();
    return false;
  }
  if (text_[at_] != ',') fail("text after a closing quote");
  ++at_;
  return true;
}

void CsvReader::skip_spaces() {
  while (!at_end() && is_space(text_[at_])) ++at_;
}

bool CsvReader::at_line_end() const {
  return text_[at_] == '\n' || (text_[at_] == '\r' && text_.substr(at_ + 1).starts_with('\n'));
}

void CsvReader::take_line_end() {
  at_ += text_[at_] == '\r' ? 2 : 1;
  ++line_;
}

void CsvReader::fail(const std::string& what) const { throw Error(place() + ": " + what); }

std::int64_t csv_integer(std::string_view field) {
  return parse<std::int64_t>(field, "an integer");
}

double csv_number(std::string_view field) {
  return finite(parse<double>(field, "a number"), std::numeric_limits<double>::lowest());
}

}  // namespace shardlab
