#include "traces/json_events.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr std::size_t kFirstSize = 1 << 20;

enum : std::uint8_t { kPlain = 0, kQuote, kOpen, kClose };

constexpr std::array<std::uint8_t, 256> make_kinds() {
  std::array<std::uint8_t, 256> kinds{};
  kinds['"'] = kQuote;
  kinds['{'] = kinds['['] = kOpen;
  kinds['}'] = kinds[']'] = kClose;
  return kinds;
}
constexpr std::array<std::uint8_t, 256> kKinds = make_kinds();

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool ends_scalar(char c) { return is_space(c) || c == ',' || c == '}' || c == ']'; }

/// The quote that ends a string whose text begins at `from`; `end` where there is none yet.
std::size_t closing_quote(const char* text, std::size_t from, std::size_t end) {
  for (std::size_t at = from; at < end; ++at) {
    const void* found = std::memchr(text + at, '"', end - at);
    if (found == nullptr) return end;
    at = static_cast<std::size_t>(static_cast<const char*>(found) - text);
    std::size_t backslashes = 0;
    while (at - backslashes > from && text[at - backslashes - 1] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return at;
  }
  return end;
}

}  // namespace

JsonEvents::JsonEvents(ByteStream& from) : from_(from), buffer_(kFirstSize + kPadding) {}

bool JsonEvents::next() {
  if (in_ == In::kNothing && !begin()) return false;
  if (in_ == In::kObject && next_member()) return true;
  if (in_ == In::kEvents && next_event()) return true;
  // Members may follow the events.
  if (in_ == In::kObject) return next();
  read_to_end();
  return false;
}

/// So that a stream that ends too early behind the trace, as gzip's without its checksum, says so.
void JsonEvents::read_to_end() {
  if (!cut_off_.empty()) return;
  do {
    trailing_ += std::count_if(buffer_.data() + at_, buffer_.data() + end_,
                               [](char c) { return !is_space(c); });
    at_ = value_ = end_;
  } while (fill());
  cut_off_ = from_.cut_off();
}

bool JsonEvents::begin() {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  while (end_ < kByteOrderMark.size() && fill()) {
  }
  if (std::string_view(buffer_.data(), end_).starts_with(kByteOrderMark)) {
    at_ = kByteOrderMark.size();
  }
  const char first = peek();
  if (first == '\0') throw Error(from_.cut_off().empty() ? "is empty" : from_.cut_off());
  if (first != '{' && first != '[') fail("is no Chrome trace: it begins with neither { nor [");
  take();
  bare_ = first == '[';
  in_ = bare_ ? In::kEvents : In::kObject;
  return true;
}

bool JsonEvents::next_member() {
  if (end_at('}', In::kEnd)) return false;
  value_ = at_;
  if (peek() != '"') fail("a key must stand here");
  std::string_view key;
  if (!take_string(key)) return truncated();
  key_ = key;
  if (peek() == '\0') return truncated();
  if (peek() != ':') fail("a colon must stand here");
  take();
  comma_ = true;
  if (key_ == "traceEvents" && peek() == '[') {
    take();
    in_ = In::kEvents;
    comma_ = false;
    return false;
  }
  is_event_ = false;
  return take_value();
}

bool JsonEvents::next_event() {
  if (end_at(']', bare_ ? In::kEnd : In::kObject)) {
    comma_ = true;
    return false;
  }
  if (in_ != In::kEvents) return false;
  is_event_ = true;
  comma_ = true;
  return take_value();
}

/// Takes the comma that is due. True when `closing` stands here, which leads to `outside`, or the
/// text is at its end.
bool JsonEvents::end_at(char closing, In outside) {
  if (comma_ && peek() == ',') {
    take();
  } else if (comma_ && peek() != closing && peek() != '\0') {
    fail("a comma must stand here");
  }
  const char here = peek();
  if (here == '\0') {
    // Chrome's viewer takes a list of events without its end too.
    if (!bare_ || !from_.cut_off().empty()) truncated();
    in_ = In::kEnd;
    return true;
  }
  if (here != closing) return false;
  take();
  in_ = outside;
  return true;
}

bool JsonEvents::take_value() {
  const char first = peek();
  value_ = at_;
  if (first == '\0') return truncated();
  if (ends_scalar(first)) fail("a value must stand here");
  const std::size_t end = find_end(at_);
  if (end == 0) return truncated();
  text_ = std::string_view(buffer_.data() + value_, end - value_);
  at_ = end;
  return true;
}

/// Behind the value that begins at `from`; 0 where the text ends within it. What fill() moves to
/// the front begins at value_.
std::size_t JsonEvents::find_end(std::size_t from) {
  std::size_t at = from;
  std::int64_t depth = 0;
  const bool scalar = kKinds[static_cast<unsigned char>(buffer_[at])] == kPlain;
  const auto more = [&] {
    const std::size_t passed = at - value_;
    const bool filled = fill();
    at = value_ + passed;
    return filled;
  };
  for (;; ++at) {
    if (scalar) {
      while (at < end_ && !ends_scalar(buffer_[at])) ++at;
      if (at < end_) return at;
    } else {
      while (at < end_ && kKinds[static_cast<unsigned char>(buffer_[at])] == kPlain) ++at;
    }
    if (at == end_) {
      if (!more()) return 0;
      --at;
      continue;
    }
    const std::uint8_t kind = kKinds[static_cast<unsigned char>(buffer_[at])];
    if (kind == kQuote) {
      std::size_t quote = closing_quote(buffer_.data(), at + 1, end_);
      while (quote == end_) {
        if (!more()) return 0;
        quote = closing_quote(buffer_.data(), at + 1, end_);
      }
      at = quote;
    } else {
      depth += kind == kOpen ? 1 : -1;
    }
    if (depth <= 0) return at + 1;
  }
}

bool JsonEvents::take_string(std::string_view& to) {
  value_ = at_;
  const std::size_t end = find_end(at_);
  if (end == 0) return false;
  to = std::string_view(buffer_.data() + value_ + 1, end - value_ - 2);
  at_ = end;
  return true;
}

char JsonEvents::peek() {
  while (true) {
    while (at_ < end_ && is_space(buffer_[at_])) ++at_;
    if (at_ < end_) return buffer_[at_];
    value_ = at_;
    if (!fill()) return '\0';
  }
}

/// Reads on behind what is there, from value_; that moves to the front. False at the end.
bool JsonEvents::fill() {
  if (value_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + value_, end_ - value_);
    before_ += static_cast<std::int64_t>(value_);
    at_ -= value_;
    end_ -= value_;
    value_ = 0;
  }
  const std::size_t room = buffer_.size() - kPadding;
  if (end_ == room) {
    if (room >= kMostBytes) fail(fmt::format("a value of more than {} bytes", kMostBytes));
    buffer_.resize(2 * room + kPadding);
  }
  const std::size_t got =
      from_.read(std::span(buffer_).subspan(end_, buffer_.size() - kPadding - end_));
  end_ += got;
  return got > 0;
}

bool JsonEvents::truncated() {
  in_ = In::kEnd;
  cut_off_ = from_.cut_off();
  if (cut_off_.empty()) {
    cut_off_ = fmt::format("it ends at byte {}, before the end of the trace",
                           before_ + static_cast<std::int64_t>(end_));
  }
  return false;
}

void JsonEvents::fail(const std::string& what) const {
  throw Error(fmt::format("byte {}: {}", before_ + static_cast<std::int64_t>(at_), what));
}

}  // namespace shardlab
