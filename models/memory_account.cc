#include "models/memory_account.h"

#include <atomic>
#include <cstddef>
#include <malloc.h>
#include <utility>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include "core/error.h"

namespace shardlab {

struct MemoryAccount::Counters {
  std::atomic<Bytes> current{0};
  std::atomic<Bytes> peak{0};
  std::atomic<Bytes> limit{kUnlimited};

  void charge(Bytes bytes) {
    const Bytes now = current.fetch_add(bytes) + bytes;
    const Bytes allowed = limit.load();
    if (now > allowed) {
      current.fetch_sub(bytes);
      throw Error("out of memory: " + format_bytes(bytes) + " asked for, " +
                  format_bytes(now - bytes) + " of " + format_bytes(allowed) + " in use");
    }
    Bytes highest = peak.load();
    while (highest < now && !peak.compare_exchange_weak(highest, now)) {
    }
  }
};

namespace {

using Counters = MemoryAccount::Counters;

std::shared_ptr<Counters>& account_of_thread() {
  thread_local std::shared_ptr<Counters> account;
  return account;
}

/// One counted allocation; keeps its counters alive.
struct Block {
  c10::DataPtr memory;
  std::shared_ptr<Counters> account;
  Bytes bytes;
};

void free_block(void* context) {
  const std::unique_ptr<Block> block(static_cast<Block*>(context));
  block->account->current.fetch_sub(block->bytes);
}

/// c10's own CPU allocator (64-byte aligned) with a count around it.
class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t size) override {
    const std::shared_ptr<Counters>& account = account_of_thread();
    if (!account || size == 0) return underneath_->allocate(size);
    auto block = std::make_unique<Block>();
    block->bytes = static_cast<Bytes>(size);
    account->charge(block->bytes);
    try {
      block->memory = underneath_->allocate(size);
    } catch (...) {
      account->current.fetch_sub(block->bytes);
      throw;
    }
    block->account = account;
    void* data = block->memory.get();
    return {data, block.release(), &free_block, c10::Device(c10::kCPU)};
  }

  void copy_data(void* to, const void* from, std::size_t count) const override {
    default_copy_data(to, from, count);
  }

 private:
  c10::Allocator* underneath_ = c10::GetDefaultCPUAllocator();
};

bool install() {
  static CountingAllocator allocator;
  c10::SetAllocator(c10::kCPU, &allocator, 1);
  // Fresh pages cost ten times a reused buffer (64 MiB: 50 against 5 ms): keep freed memory, in one
  // heap for all threads.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_ARENA_MAX, 1);
  return true;
}

}  // namespace

MemoryAccount::MemoryAccount(Bytes limit) : counters_(std::make_shared<Counters>()) {
  [[maybe_unused]] static const bool installed = install();
  counters_->limit = limit;
}

Bytes MemoryAccount::current() const { return counters_->current; }
Bytes MemoryAccount::peak() const { return counters_->peak; }
void MemoryAccount::reset_peak() { counters_->peak = counters_->current.load(); }
void MemoryAccount::set_limit(Bytes limit) { counters_->limit = limit; }
void MemoryAccount::charge(Bytes bytes) { counters_->charge(bytes); }
void MemoryAccount::release(Bytes bytes) { counters_->current.fetch_sub(bytes); }

AccountScope::AccountScope(const MemoryAccount& account)
    : before_(std::exchange(account_of_thread(), account.counters_)) {}

AccountScope::~AccountScope() { account_of_thread() = std::move(before_); }

}  // namespace shardlab
