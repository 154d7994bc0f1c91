#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "traces/byte_stream.h"

namespace shardlab {

/// Takes a Chrome trace apart: `{"traceEvents": [event, ...], "key": value, ...}` or `[event,
/// ...]`,
/// whatever its length, into the texts of single values, which another parser reads. One value is
/// in memory at a time.
class JsonEvents {
 public:
  /// Behind each text are that many readable bytes, whatever they are: simdjson reads ahead.
  static constexpr std::size_t kPadding = 64;
  static constexpr std::size_t kMostBytes = 64 << 20;  ///< Of one value.

  explicit JsonEvents(ByteStream& from);

  /// Goes on to the next event, or member of the outermost object that is not `traceEvents`; false
  /// at the end. Throws Error "byte N: what" where the text is no such trace; where it only ends
  /// too early, cut_off() says so.
  bool next();
  [[nodiscard]] bool is_event() const { return is_event_; }
  [[nodiscard]] std::string_view key() const { return key_; }    ///< Of a member.
  [[nodiscard]] std::string_view text() const { return text_; }  ///< Valid until next().

  /// Why there was no more, although the trace is not at its end; empty: it is.
  [[nodiscard]] const std::string& cut_off() const { return cut_off_; }
  /// Bytes behind the end of the trace, without spaces. The stream is read to its end.
  [[nodiscard]] std::int64_t trailing() const { return trailing_; }

 private:
  enum class In : std::uint8_t { kNothing, kObject, kEvents, kEnd };

  bool begin();
  bool next_member();
  bool next_event();
  bool end_at(char closing, In outside);
  bool take_value();
  bool take_string(std::string_view& to);
  /// The next byte that is no space, without taking it; '\0' at the end.
  char peek();
  void take() { ++at_; }
  bool fill();
  void read_to_end();
  bool truncated();
  [[noreturn]] void fail(const std::string& what) const;
  std::size_t find_end(std::size_t from);

  ByteStream& from_;
  std::vector<char> buffer_;
  std::size_t at_ = 0, end_ = 0;  ///< What is read and not yet taken.
  std::size_t value_ = 0;         ///< Where the value at hand begins; kept by fill().
  std::int64_t before_ = 0;       ///< Bytes of the stream before the buffer.
  In in_ = In::kNothing;
  bool bare_ = false;   ///< The events are the outermost list.
  bool comma_ = false;  ///< One is wanted before the next value.
  bool is_event_ = false;
  std::string key_;
  std::string_view text_;
  std::string cut_off_;
  std::int64_t trailing_ = 0;
};

}  // namespace shardlab
