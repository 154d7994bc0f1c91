#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace shardlab {

using Bytes = std::int64_t;

/// A memory budget that was not given: nothing is tracked against it.
constexpr Bytes kUnlimited = std::numeric_limits<Bytes>::max();

/// `1536` → "1.5 KiB". For messages and tables.
std::string format_bytes(Bytes bytes);
/// "1.6 KiB (1638 bytes)": where one must see what is missing.
std::string format_exact_bytes(Bytes bytes);

/// "1.5 GiB", "300 MB", "4096" → bytes; KiB/MiB/GiB/TiB are powers of 1024, KB/MB/GB/TB of 1000.
/// Throws Error on anything else, on a negative number and on overflow.
Bytes parse_bytes(std::string_view text);

}  // namespace shardlab
