#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace shardlab {

/// Bytes of a file, piece by piece.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Fills `to` as far as there are bytes; fewer than asked for only at the end. Throws Error.
  virtual std::size_t read(std::span<char> to) = 0;
  /// Why the bytes ended too early, "its gzip stream is cut off"; empty: they did not.
  [[nodiscard]] virtual std::string cut_off() const { return {}; }
};

/// A text in memory, which outlives the stream.
std::unique_ptr<ByteStream> text_stream(std::string_view text);

/// A file as it is or, where it is compressed with gzip, what is in it; unpacked by a thread of its
/// own, some megabytes ahead. Throws Error `path: cannot read: reason`, also from read().
std::unique_ptr<ByteStream> open_stream(const std::string& path);

}  // namespace shardlab
