#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace shardlab {

/// Flat zeroed floats that start on a cache line, as parameters and state of a shard need them.
class Arena {
 public:
  Arena() = default;
  explicit Arena(std::int64_t floats) : size_(static_cast<std::size_t>(floats)) {
    constexpr std::size_t kLine = 64;
    const std::size_t bytes = (size_ * sizeof(float) + kLine - 1) / kLine * kLine;
    data_.reset(static_cast<float*>(std::aligned_alloc(kLine, bytes)));
    if (bytes > 0 && !data_) throw std::bad_alloc();
    std::fill_n(data_.get(), size_, 0.0F);
  }

  [[nodiscard]] float* data() const { return data_.get(); }
  [[nodiscard]] std::span<float> span() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float[], Free> data_;
  std::size_t size_ = 0;
};

}  // namespace shardlab
