#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>

namespace shardlab {

void add_json_flag(CLI::App& app, bool& json);

/// What --json prints: `{"format": "shardlab-<verb>", "version": 1, ...}` and the members of
/// `body`.
nlohmann::ordered_json json_document(std::string_view verb, const nlohmann::ordered_json& body);
void print_json(std::string_view verb, const nlohmann::ordered_json& body);
void print_json(const nlohmann::ordered_json& document);

/// On stdout, without waiting in a buffer where that is a pipe.
void print_text(std::string_view text);

/// Throws UsageError where the output is one of the inputs, by whatever path or link.
void refuse_overwriting(const std::string& output, const std::vector<std::string>& inputs);
/// On stderr, one line each.
void print_warnings(const std::vector<std::string>& warnings);

/// Makes the folder with those above it. Throws Error with the path and the reason.
void make_folder(const std::string& path);

/// Throws Error where make_folder or writing into the folder would fail, and leaves nothing behind:
/// a verb asks before it trains, and makes the folder when it has something to write.
void refuse_unwritable(const std::string& path);

/// The same for a file, which may be there and may be a device or a pipe.
void refuse_unwritable_file(const std::string& path);

}  // namespace shardlab
