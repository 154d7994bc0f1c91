#include "traces/toml_node.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/suggestion.h"
#include "traces/value.h"

namespace shardlab {
namespace {

std::string_view kind(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

[[noreturn]] void wrong_type(const toml::node& node, std::string_view wanted) {
  throw Error(fmt::format("must be {}, is {}", wanted, kind(node)));
}

}  // namespace

toml::table parse_toml(std::string_view text, const std::string& origin) {
  try {
    return toml::parse(text, origin);
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    throw Error(fmt::format("{}:{}:{}: {}", origin, at.line, at.column, error.description()));
  }
}

std::string place(const std::string& origin, const toml::source_region& source) {
  return fmt::format("{}:{}", origin, source.begin.line);
}

std::string place(const std::string& origin, const toml::source_region& source,
                  std::string_view key) {
  return fmt::format("{}:{}: {}", origin, source.begin.line, key);
}

void refuse_unknown_keys(const toml::table& table, const std::string& origin,
                         std::span<const std::string_view> known) {
  for (const auto& [key, node] : table) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    throw Error(fmt::format("{}: unknown key{}", place(origin, key.source(), key.str()),
                            suggestion(key.str(), known)));
  }
}

std::vector<const toml::table*> tables(const toml::table& root, const std::string& origin,
                                       std::string_view key) {
  const toml::node* node = root.get(key);
  if (node == nullptr) throw Error(fmt::format("{}: no [[{}]] in it", origin, key));
  const toml::array* array = node->as_array();
  if (array == nullptr || array->empty() || !array->is_homogeneous<toml::table>()) {
    throw Error(fmt::format("{}: write [[{}]], with two brackets, before the keys of each",
                            place(origin, node->source(), key), key));
  }
  std::vector<const toml::table*> found;
  for (const toml::node& element : *array) found.push_back(element.as_table());
  return found;
}

std::int64_t integer(const toml::node& node, std::int64_t least, std::int64_t most) {
  const auto* value = node.as_integer();
  if (value == nullptr) wrong_type(node, "an integer");
  return within(value->get(), least, most);
}

double number(const toml::node& node, double least) {
  if (!node.is_number()) wrong_type(node, "a number");
  return finite(*node.value<double>(), least);
}

std::string text(const toml::node& node) {
  const auto* value = node.as_string();
  if (value == nullptr) wrong_type(node, "a string");
  return plain_text(value->get());
}

Bytes size(const toml::node& node) {
  if (node.is_integer()) return integer(node, 1, Bytes{1} << 60);
  if (!node.is_string()) wrong_type(node, "a size such as \"48 MiB\"");
  const Bytes bytes = parse_bytes(text(node));
  if (bytes < 1) throw Error("must be at least 1 byte");
  return bytes;
}

}  // namespace shardlab
