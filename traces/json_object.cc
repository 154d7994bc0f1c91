#include "traces/json_object.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.h"
#include "core/suggestion.h"

namespace shardlab {
namespace {

using nlohmann::json;

std::string_view kind(const json& value) {
  if (value.is_number_integer()) return "an integer";
  if (value.is_number()) return "a number with a fraction";
  if (value.is_string()) return "a string";
  if (value.is_boolean()) return "true or false";
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  return "null";
}

[[noreturn]] void wrong_type(const json& value, std::string_view wanted) {
  throw Error(fmt::format("must be {}, is {}", wanted, kind(value)));
}

}  // namespace

json parse_json(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) throw Error("is empty");
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    const std::string_view what(error.what());
    // "[json.exception.parse_error.101] parse error at line 1, column 2: reason"
    const std::string_view reason = what.substr(what.find(": ") + 2);
    if (error.byte >= text.size()) {
      throw Error(fmt::format("byte {}: the file ends too early; it may be cut off", text.size()));
    }
    throw Error(fmt::format("byte {}: {}", error.byte, reason));
  } catch (const json::exception& error) {
    throw Error(error.what());  // A number that no type holds.
  }
}

Duration json_seconds(const json& value, Duration most) {
  if (!value.is_number()) wrong_type(value, "a number of seconds");
  const auto number = value.get<double>();
  if (number < 0) throw Error(fmt::format("negative ({} s)", number));
  if (number > seconds(most)) {
    throw Error(fmt::format("must be at most {} s, is {} s", seconds(most), number));
  }
  return Duration(std::llround(number * 1e9));
}

std::int64_t json_integer(const json& value, std::int64_t least, std::int64_t most) {
  if (!value.is_number_integer()) wrong_type(value, "an integer");
  const bool huge = value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX;
  const std::int64_t number = huge ? INT64_MAX : value.get<std::int64_t>();
  if (number < 0 && least == 0) throw Error(fmt::format("negative ({})", number));
  if (number < least) throw Error(fmt::format("must be at least {}, is {}", least, number));
  if (number > most) throw Error(fmt::format("must be at most {}, is {}", most, value.dump()));
  return number;
}

JsonObject::JsonObject(const json& value) : value_(&value) {
  if (!value.is_object()) wrong_type(value, "an object");
}

void JsonObject::refuse_unknown_keys(std::span<const std::string_view> known) const {
  for (const auto& [key, value] : value_->items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    throw Error(fmt::format("{}: unknown key{}", key, suggestion(key, known)));
  }
}

const json& JsonObject::at(const std::string& key) const {
  const auto found = value_->find(key);
  if (found == value_->end()) throw Error(key + ": missing");
  return *found;
}

std::int64_t JsonObject::integer(const std::string& key, std::int64_t least,
                                 std::int64_t most) const {
  const json& value = at(key);
  return in_context(key, [&] { return json_integer(value, least, most); });
}

bool JsonObject::has(const std::string& key) const { return value_->contains(key); }

bool JsonObject::is_array(const std::string& key) const {
  const auto found = value_->find(key);
  return found != value_->end() && found->is_array();
}

bool JsonObject::is_null(const std::string& key) const { return has(key) && at(key).is_null(); }

Duration JsonObject::duration(const std::string& key) const {
  return Duration(integer(key, 0, kMostInFile));
}

Instant JsonObject::instant(const std::string& key) const { return Instant(duration(key)); }

Bytes JsonObject::bytes(const std::string& key) const {
  return at(key).is_null() ? kUnlimited : integer(key, 0, kMostInFile);
}

std::uint64_t JsonObject::seed(const std::string& key) const {
  const json& value = at(key);
  return in_context(key, [&] {
    if (!value.is_number_unsigned()) wrong_type(value, "an integer that is not negative");
    return value.get<std::uint64_t>();
  });
}

double JsonObject::number(const std::string& key) const {
  const json& value = at(key);
  return in_context(key, [&] {
    if (!value.is_number()) wrong_type(value, "a number");
    const auto number = value.get<double>();
    if (number < 0) throw Error(fmt::format("negative ({})", number));
    return number;
  });
}

bool JsonObject::flag(const std::string& key) const {
  const json& value = at(key);
  return in_context(key, [&] {
    if (!value.is_boolean()) wrong_type(value, "true or false");
    return value.get<bool>();
  });
}

std::string JsonObject::text(const std::string& key) const {
  const json& value = at(key);
  return in_context(key, [&] {
    if (!value.is_string()) wrong_type(value, "a string");
    return value.get<std::string>();
  });
}

JsonObject JsonObject::object(const std::string& key) const {
  const json& value = at(key);
  return in_context(key, [&] { return JsonObject(value); });
}

const json& JsonObject::array(const std::string& key) const {
  const json& value = at(key);
  if (!value.is_array()) {
    in_context(key, [&] { wrong_type(value, "a list"); });
  }
  return value;
}

json parse_json_file(std::string_view text, std::string_view format, int version) {
  json root = parse_json(text);
  const auto found = root.is_object() ? root.find("format") : root.end();
  if (!root.is_object() || found == root.end() || !found->is_string()) {
    throw Error(fmt::format("is no {}: it has no \"format\"", format));
  }
  if (*found != format)
    throw Error(fmt::format("is a {}, not a {}", found->get<std::string>(), format));
  const auto written = JsonObject(root).integer("version", 1, kMostInFile);
  if (written != version) {
    throw Error(
        fmt::format("version: {} is not known to this program, which reads {}", written, version));
  }
  return root;
}

std::string json_string(std::string_view text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

nlohmann::ordered_json json_number(double value) {
  if (!std::isfinite(value)) throw Error(fmt::format("{} cannot be written", value));
  return value;
}

nlohmann::ordered_json json_bytes(Bytes bytes) {
  return bytes == kUnlimited ? nlohmann::ordered_json() : nlohmann::ordered_json(bytes);
}

}  // namespace shardlab
