#include "profiler/activity_buffers.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace shardlab {
namespace {

// Fewer unused buffers than this: another is made when a filled one comes back. That is mostly in
// CUPTI's own thread, while a request comes from the thread that launches.
constexpr std::size_t kFewUnused = 4;

/// Zeroed and touched, so that the thread that launches meets no page fault. Null without memory.
ActivityBuffers::Buffer make_buffer(std::size_t bytes) {
  constexpr std::size_t kPage = 4096;
  ActivityBuffers::Buffer buffer;
  buffer.memory.reset(static_cast<std::uint8_t*>(std::aligned_alloc(kPage, bytes)));
  if (buffer.memory == nullptr) return buffer;
  std::memset(buffer.memory.get(), 0, bytes);
  buffer.size = bytes;
  return buffer;
}

}  // namespace

ActivityBuffers& ActivityBuffers::of_process() {
  static auto* const kBuffers = new ActivityBuffers;  // for CUPTI's threads until the very end
  return *kBuffers;
}

bool ActivityBuffers::begin(const BufferSizes& sizes) {
  std::size_t missing = 0;
  {
    const std::lock_guard lock(mutex_);
    if (collecting_) return false;
    collecting_ = true;
    sizes_ = sizes;
    std::erase_if(unused_, [&](const Buffer& buffer) { return buffer.size != sizes.bytes; });
    missing = sizes.count - std::min(sizes.count, unused_.size());
  }
  for (std::size_t i = 0; i < missing; ++i) add_spare(sizes.bytes);
  return true;
}

std::vector<ActivityBuffers::Buffer> ActivityBuffers::end() {
  const std::lock_guard lock(mutex_);
  collecting_ = false;
  return std::exchange(filled_, {});
}

void ActivityBuffers::recycle(std::vector<Buffer> buffers) {
  for (Buffer& buffer : buffers) {
    std::memset(buffer.memory.get(), 0, buffer.size);
    buffer.valid = 0;
    const std::lock_guard lock(mutex_);
    if (buffer.size == sizes_.bytes && unused_.size() < sizes_.count) {
      unused_.push_back(std::move(buffer));
    }
  }
}

void ActivityBuffers::trim() {
  std::vector<Buffer> unused;
  const std::lock_guard lock(mutex_);
  if (!collecting_) unused.swap(unused_);
}

std::size_t ActivityBuffers::late() {
  const std::lock_guard lock(mutex_);
  return std::exchange(late_, 0);
}

void ActivityBuffers::requested(std::uint8_t** buffer, std::size_t* size,
                                std::size_t* max_records) {
  Buffer taken = of_process().take();
  *size = taken.size;
  *max_records = 0;  // as many as fit
  *buffer = taken.memory.release();
}

void ActivityBuffers::completed(CUctx_st*, std::uint32_t, std::uint8_t* buffer, std::size_t size,
                                std::size_t valid) {
  Buffer back;
  back.memory.reset(buffer);
  back.size = size;
  back.valid = valid;
  of_process().put(std::move(back));
}

ActivityBuffers::Buffer ActivityBuffers::take() {
  std::size_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!unused_.empty()) {
      Buffer buffer = std::move(unused_.back());
      unused_.pop_back();
      return buffer;
    }
    bytes = sizes_.bytes;
  }
  return make_buffer(bytes);
}

void ActivityBuffers::put(Buffer buffer) {
  std::size_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    if (collecting_) {
      filled_.push_back(std::move(buffer));
      if (unused_.size() < kFewUnused) bytes = sizes_.bytes;
    } else if (buffer.valid > 0) {
      ++late_;
    }
  }
  if (bytes > 0) add_spare(bytes);
}

void ActivityBuffers::add_spare(std::size_t bytes) {
  Buffer buffer = make_buffer(bytes);
  if (buffer.memory == nullptr) return;  // the next request tries again
  const std::lock_guard lock(mutex_);
  unused_.push_back(std::move(buffer));
}

}  // namespace shardlab
