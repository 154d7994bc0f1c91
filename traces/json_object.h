#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/bytes.h"
#include "core/time.h"

namespace shardlab {

/// Larger times and sizes are refused, so that sums of a few never overflow: 36 years, 1 EiB.
constexpr std::int64_t kMostInFile = std::int64_t{1} << 60;

/// What each reader below wants of a value; throws Error "negative (-3)", "must be an integer, is a
/// string".
std::int64_t json_integer(const nlohmann::json& value, std::int64_t least,
                          std::int64_t most = kMostInFile);

/// Seconds, rounded to nanoseconds; throws Error "negative (-0.5 s)", "must be a number of seconds,
/// is null".
Duration json_seconds(const nlohmann::json& value, Duration most);

/// Throws Error with the byte at fault on a syntax error or a file cut off.
nlohmann::json parse_json(std::string_view text);

/// One JSON object whose fields are read by name. A missing field is an Error, never zero; every
/// Error begins with the field. Fields that nobody asks for are ignored, so that a version may gain
/// some, unless the file is one that people write: refuse_unknown_keys(). `value` must outlive it.
class JsonObject {
 public:
  /// Throws Error if `value` is no object.
  explicit JsonObject(const nlohmann::json& value);

  /// Throws Error `key: unknown key`, with the nearest known one.
  void refuse_unknown_keys(std::span<const std::string_view> known) const;

  [[nodiscard]] bool has(const std::string& key) const;
  [[nodiscard]] bool is_array(const std::string& key) const;  ///< It is there, and a list.
  /// It is there, and null.
  [[nodiscard]] bool is_null(const std::string& key) const;
  [[nodiscard]] Duration duration(const std::string& key) const;  ///< Nanoseconds, not negative.
  [[nodiscard]] Instant instant(const std::string& key) const;    ///< Nanoseconds, not negative.
  [[nodiscard]] Bytes bytes(const std::string& key) const;  ///< Not negative; null is kUnlimited.
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t least,
                                     std::int64_t most) const;
  [[nodiscard]] std::uint64_t seed(const std::string& key) const;
  [[nodiscard]] double number(const std::string& key) const;  ///< Finite, not negative.
  [[nodiscard]] bool flag(const std::string& key) const;
  [[nodiscard]] std::string text(const std::string& key) const;
  [[nodiscard]] JsonObject object(const std::string& key) const;
  [[nodiscard]] const nlohmann::json& array(const std::string& key) const;

 private:
  [[nodiscard]] const nlohmann::json& at(const std::string& key) const;

  const nlohmann::json* value_;
};

/// Parses a file that begins `{"format": ..., "version": ...`. Throws Error with the byte at fault
/// on a syntax error or a file cut off, and on another format or a version other than `version`.
nlohmann::json parse_json_file(std::string_view text, std::string_view format, int version);

/// A string with its quotes; bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

/// Shortest form that reads back as the same value. Throws Error for what JSON cannot hold:
/// infinity, NaN.
nlohmann::ordered_json json_number(double value);

/// kUnlimited is null.
nlohmann::ordered_json json_bytes(Bytes bytes);

}  // namespace shardlab
