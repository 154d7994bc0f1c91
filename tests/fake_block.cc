#include "tests/fake_block.h"

#include <cstring>
#include <sys/mman.h>

#include <c10/util/Exception.h>

#include "tests/fake_ranges.h"

namespace shardlab::fake {
namespace {

Ranges<Block*>& blocks() {
  static auto* const kept = new Ranges<Block*>;
  return *kept;
}

}  // namespace

void poison(void* data, std::size_t bytes) { std::memset(data, 0xFF, bytes); }

Block::Block(std::size_t bytes, int device, std::int64_t stream)
    : data_(static_cast<char*>(
          mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))),
      bytes_(bytes),
      device_(device),
      stream_(stream) {
  TORCH_CHECK(data_ != MAP_FAILED, "no memory for a block of ", bytes, " B");
  poison(data_, bytes_);
  mprotect(data_, bytes_, PROT_NONE);
  blocks().insert(data_, bytes_, this);
}

Block::~Block() {
  blocks().erase(data_);
  munmap(data_, bytes_);
}

void Block::open() {
  const std::lock_guard lock(mutex_);
  if (users_++ == 0) mprotect(data_, bytes_, PROT_READ | PROT_WRITE);
}

void Block::close() {
  const std::lock_guard lock(mutex_);
  if (--users_ == 0) mprotect(data_, bytes_, PROT_NONE);
}

Block* find_block(const void* address) { return blocks().find(address); }

}  // namespace shardlab::fake
