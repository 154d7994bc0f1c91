#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>

namespace shardlab::fake {

/// Whole pages that may be touched only between open() and the close() that belongs to it.
class Block {
 public:
  Block(std::size_t bytes, int device, std::int64_t stream);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void open();
  void close();

  [[nodiscard]] char* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] int device() const { return device_; }
  [[nodiscard]] std::int64_t stream() const { return stream_; }  ///< It was allocated on.

  // The allocator's, under its lock:
  std::size_t requested = 0;
  std::set<std::int64_t> other_streams;  ///< Streams that use it too.

 private:
  char* data_;
  std::size_t bytes_;
  int device_;
  std::int64_t stream_;
  std::mutex mutex_;
  int users_ = 0;
};

/// The block that holds `address`, or null. Any thread.
Block* find_block(const void* address);

/// NaN in every floating type, -1 in every integer.
void poison(void* data, std::size_t bytes);

}  // namespace shardlab::fake
