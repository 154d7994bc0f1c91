#include "models/memory_account.h"

#include <atomic>
#include <cstddef>
#include <malloc.h>
#include <new>
#include <utility>

#include <c10/core/Allocator.h>

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
      throw NoMemoryLeft("out of memory: " + format_bytes(bytes) + " asked for, " +
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

constexpr std::size_t kLine = 64;

/// In front of every allocation, counted or not: oneDNN frees by address alone, through
/// raw_deleter().
struct Header {
  void* memory;
  std::shared_ptr<Counters> account;  // Alive as long as anything charged to it.
  Bytes bytes;
};
static_assert(sizeof(Header) <= kLine);

void free_block(void* data) {
  if (data == nullptr) return;
  auto* header = reinterpret_cast<Header*>(static_cast<char*>(data) - kLine);
  if (header->account) header->account->current.fetch_sub(header->bytes);
  void* memory = header->memory;
  header->~Header();
  std::free(memory);
}

/// As with c10, every block starts on a cache line. But that calls posix_memalign, which before
/// glibc 2.38 leaves slivers between blocks, so that freed ones cannot be used again: ten times
/// slower here, 16 MiB at a time.
class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t size) override {
    const c10::Device device(c10::kCPU);
    if (size == 0) return {nullptr, nullptr, &free_block, device};
    const std::shared_ptr<Counters>& account = account_of_thread();
    const auto bytes = static_cast<Bytes>(size);
    if (account) account->charge(bytes);
    void* memory = std::malloc(size + 2 * kLine);
    if (memory == nullptr) {
      if (account) account->current.fetch_sub(bytes);
      throw NoMemoryLeft("out of memory: this machine has no " + format_bytes(bytes) + " left");
    }
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    char* data = static_cast<char*>(memory) + (2 * kLine - address % kLine);
    new (data - kLine) Header{memory, account, bytes};
    return {data, data, &free_block, device};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t count) const override {
    default_copy_data(to, from, count);
  }
};

// While the program loads: nothing may be allocated before and freed by address after.
[[maybe_unused]] const bool kInstalled = [] {
  // Never destroyed: threads and caches free memory until the very end.
  c10::SetAllocator(c10::kCPU, new CountingAllocator, 1);
  // Fresh pages cost ten times a reused buffer (64 MiB: 50 against 5 ms): keep freed memory, in one
  // heap for all threads.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_ARENA_MAX, 1);
  return true;
}();

}  // namespace

MemoryAccount::MemoryAccount(Bytes limit) : counters_(std::make_shared<Counters>()) {
  counters_->limit = limit;
}

Bytes MemoryAccount::current() const { return counters_->current; }
Bytes MemoryAccount::peak() const { return counters_->peak; }
void MemoryAccount::reset_peak() { counters_->peak = counters_->current.load(); }

AccountScope::AccountScope(const MemoryAccount& account)
    : before_(std::exchange(account_of_thread(), account.counters_)) {}

AccountScope::~AccountScope() { account_of_thread() = std::move(before_); }

}  // namespace shardlab
