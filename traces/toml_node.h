#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "core/bytes.h"

namespace shardlab {

/// Throws Error `origin:line:column: what` on a syntax error.
toml::table parse_toml(std::string_view text, const std::string& origin);

/// `origin:line`, of what `node` or `key` begins with: the context of every error below.
std::string place(const std::string& origin, const toml::source_region& source);

/// `origin:line: key`.
std::string place(const std::string& origin, const toml::source_region& source,
                  std::string_view key);

/// Throws Error naming file, line and key, and the nearest of `known`, at the first other key in
/// `table`.
void refuse_unknown_keys(const toml::table& table, const std::string& origin,
                         std::span<const std::string_view> known);

/// The tables of `[[key]]`. Throws Error when there is none, or something else has that name.
std::vector<const toml::table*> tables(const toml::table& root, const std::string& origin,
                                       std::string_view key);

// Each throws Error "must be ..., is ..." without a place: the caller adds it with in_context.

std::int64_t integer(const toml::node& node, std::int64_t least, std::int64_t most = INT32_MAX);

/// A finite number; an integer will do. Not below `least`.
double number(const toml::node& node, double least = std::numeric_limits<double>::lowest());

/// Not empty and without control characters.
std::string text(const toml::node& node);

/// "48 MiB", or an integer number of bytes; at least 1.
Bytes size(const toml::node& node);

}  // namespace shardlab
