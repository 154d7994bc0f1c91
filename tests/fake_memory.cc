#include "tests/fake_memory.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>

#include "tests/fake_block.h"
#include "tests/fake_device.h"
#include "tests/fake_ranges.h"

namespace shardlab::fake {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kRounding = 512;  // Of allocated_bytes, as CUDA's caching allocator has it.

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

Ranges<bool>& pinned() {
  static auto* const kept = new Ranges<bool>;
  return *kept;
}

using Stats = c10::CachingDeviceAllocator::DeviceStats;

class DeviceMemory final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override;
  void free(Block* block);
  void copy_data(void* to, const void* from, std::size_t bytes) const override;
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override;
  void recordStream(const c10::DataPtr& memory, c10::Stream stream) override;
  Stats getDeviceStats(c10::DeviceIndex device) override;
  void resetAccumulatedStats(c10::DeviceIndex device) override;
  void resetPeakStats(c10::DeviceIndex device) override;
  std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex device) override;

 private:
  /// Freed while other streams may still use it: pooled when all marks are done.
  struct Parting {
    Block* block;
    std::vector<Mark> marks;
  };
  struct Arena {
    Stats stats;
    std::map<std::pair<std::int64_t, std::size_t>, std::vector<Block*>> pool;  // By stream, size.
    std::list<Parting> parting;
  };

  Arena& arena(int device) { return arenas_.at(static_cast<std::size_t>(device)); }
  Block* take(Arena& arena, StreamName stream, std::size_t bytes);
  void pool(Arena& arena, Block* block);
  void pool_parted(Arena& arena);
  static void charge(Stats& stats, const Block& block);

  std::mutex mutex_;
  std::array<Arena, kDevices> arenas_;
};

DeviceMemory& device_memory() {
  static auto* const kept = new DeviceMemory;
  return *kept;
}

c10::Device torch_device(int device) {
  return {c10::DeviceType::PrivateUse1, static_cast<c10::DeviceIndex>(device)};
}

void free_device_memory(void* block) {
  if (block != nullptr) device_memory().free(static_cast<Block*>(block));
}

void DeviceMemory::charge(Stats& stats, const Block& block) {
  const std::size_t rounded = round_up(block.requested, kRounding);
  stats.allocation[0].increase(1);
  stats.active[0].increase(1);
  stats.requested_bytes[0].increase(block.requested);
  stats.allocated_bytes[0].increase(rounded);
  stats.active_bytes[0].increase(rounded);
}

c10::DataPtr DeviceMemory::allocate(std::size_t bytes) {
  const int device = current_device();
  if (bytes == 0) return {nullptr, nullptr, &free_device_memory, torch_device(device)};
  const std::lock_guard lock(mutex_);
  Arena& own = arena(device);
  const auto in_use = static_cast<std::size_t>(own.stats.allocated_bytes[0].current);
  const bool fits =
      in_use + round_up(bytes, kRounding) <= static_cast<std::size_t>(memory_of_device());
  if (allocation_fails(device) || !fits) {
    ++own.stats.num_ooms;
    TORCH_CHECK_WITH(OutOfMemoryError, false, "fake accelerator ", device,
                     " out of memory: ", bytes, " B asked for, ", in_use, " B of ",
                     memory_of_device(), " B in use");
  }
  pool_parted(own);
  Block* block = take(own, current_stream(device), bytes);
  block->requested = bytes;
  charge(own.stats, *block);
  return {block->data(), block, &free_device_memory, torch_device(device)};
}

Block* DeviceMemory::take(Arena& own, StreamName stream, std::size_t bytes) {
  const std::size_t pages = round_up(bytes, kPage);
  auto& fitting = own.pool[{stream.id, pages}];
  if (!fitting.empty()) {
    Block* latest = fitting.back();
    fitting.pop_back();
    return latest;
  }
  own.stats.segment[0].increase(1);
  own.stats.reserved_bytes[0].increase(pages);
  ++own.stats.num_device_alloc;
  return new Block(pages, stream.device, stream.id);
}

void DeviceMemory::free(Block* block) {
  const std::lock_guard lock(mutex_);
  Arena& own = arena(block->device());
  own.stats.allocation[0].decrease(1);
  own.stats.requested_bytes[0].decrease(block->requested);
  own.stats.allocated_bytes[0].decrease(round_up(block->requested, kRounding));
  std::vector<Mark> marks;
  for (const std::int64_t id : std::exchange(block->other_streams, {})) {
    marks.push_back(record_mark({block->device(), id}));
  }
  if (marks.empty()) return pool(own, block);
  own.parting.push_back({block, std::move(marks)});
}

void DeviceMemory::pool(Arena& own, Block* block) {
  own.stats.active[0].decrease(1);
  own.stats.active_bytes[0].decrease(round_up(block->requested, kRounding));
  queue({block->device(), block->stream()}).push([block] {
    block->open();
    poison(block->data(), block->bytes());
    block->close();
  });
  own.pool[{block->stream(), block->bytes()}].push_back(block);
}

void DeviceMemory::pool_parted(Arena& own) {
  for (auto each = own.parting.begin(); each != own.parting.end();) {
    const bool done = std::ranges::all_of(
        each->marks, [](const Mark& mark) { return mark.queue->done(mark.ticket); });
    if (done) pool(own, each->block);
    each = done ? own.parting.erase(each) : std::next(each);
  }
}

void DeviceMemory::copy_data(void* to, const void* from, std::size_t bytes) const {
  Block* target = find_block(to);
  launch(current_stream(target->device()), Kind::kCopy, {target, find_block(from)},
         [=] { std::memcpy(to, from, bytes); });
}

void DeviceMemory::emptyCache(c10::MempoolId_t) {
  const std::lock_guard lock(mutex_);
  // Any stream may use any device's memory.
  const auto finish_all = [] {
    for (int i = 0; i < kDevices; ++i) {
      for (WorkQueue* each : queues(i)) each->wait(each->end());
    }
  };
  finish_all();
  for (Arena& each : arenas_) pool_parted(each);
  finish_all();  // The poisoning.
  for (Arena& each : arenas_) {
    for (const auto& [key, free_blocks] : std::exchange(each.pool, {})) {
      for (Block* block : free_blocks) {
        each.stats.segment[0].decrease(1);
        each.stats.reserved_bytes[0].decrease(block->bytes());
        ++each.stats.num_device_free;
        delete block;
      }
    }
  }
}

void DeviceMemory::recordStream(const c10::DataPtr& memory, c10::Stream stream) {
  Block* block = find_block(memory.get());
  if (block == nullptr) return;
  const std::lock_guard lock(mutex_);
  if (stream.id() != block->stream()) block->other_streams.insert(stream.id());
}

Stats DeviceMemory::getDeviceStats(c10::DeviceIndex device) {
  const std::lock_guard lock(mutex_);
  return arena(device).stats;
}

template <class Reset>
void reset_all(Stats& stats, const Reset& reset) {
  for (auto* each : {&stats.allocation, &stats.segment, &stats.active, &stats.requested_bytes,
                     &stats.allocated_bytes, &stats.active_bytes, &stats.reserved_bytes}) {
    for (auto& stat : *each) reset(stat);
  }
}

void DeviceMemory::resetAccumulatedStats(c10::DeviceIndex device) {
  const std::lock_guard lock(mutex_);
  reset_all(arena(device).stats, [](auto& stat) { stat.reset_accumulated(); });
}

void DeviceMemory::resetPeakStats(c10::DeviceIndex device) {
  const std::lock_guard lock(mutex_);
  reset_all(arena(device).stats, [](auto& stat) { stat.reset_peak(); });
}

std::pair<std::size_t, std::size_t> DeviceMemory::getMemoryInfo(c10::DeviceIndex device) {
  const std::int64_t all = memory_of_device();
  const std::int64_t used = getDeviceStats(device).allocated_bytes[0].current;
  return {static_cast<std::size_t>(all - used), static_cast<std::size_t>(all)};
}

class PinnedMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &free, c10::DeviceType::CPU};
    const std::size_t pages = round_up(bytes, kPage);
    void* data = std::aligned_alloc(kPage, pages);
    TORCH_CHECK(data != nullptr, "no memory for ", bytes, " pinned bytes");
    poison(data, pages);
    pinned().insert(data, pages, true);
    return {data, data, &free, c10::DeviceType::CPU};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void free(void* data) {
    pinned().erase(data);
    std::free(data);
  }
};

}  // namespace

bool is_pinned(const void* address) { return pinned().find(address); }

c10::Allocator* pinned_memory() {
  static PinnedMemory memory;
  return &memory;
}

void register_memory() { c10::SetAllocator(c10::DeviceType::PrivateUse1, &device_memory()); }

}  // namespace shardlab::fake
