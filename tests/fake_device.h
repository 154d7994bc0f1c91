#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "tests/fake_accelerator.h"
#include "tests/fake_block.h"
#include "tests/fake_queue.h"

namespace shardlab::fake {

struct StreamName {
  int device = 0;
  std::int64_t id = 0;  ///< 0 is the device's default stream.

  auto operator<=>(const StreamName&) const = default;
};

WorkQueue& queue(StreamName stream);
/// All streams in use of one device.
std::vector<WorkQueue*> queues(int device);
StreamName new_stream(int device);
/// One of 32, in turn.
StreamName pool_stream(int device);

/// Of the calling thread.
int current_device();
int exchange_device(int device);
StreamName current_stream(int device);
StreamName exchange_stream(StreamName stream);

/// A point on a stream, taken by an event.
struct Mark {
  WorkQueue* queue = nullptr;
  WorkQueue::Ticket ticket = 0;
  int device = 0;
  /// When the stream got there; set before the mark is done.
  std::shared_ptr<std::chrono::steady_clock::time_point> when;
};
Mark record_mark(StreamName stream);
/// What is queued on `stream` later runs after `mark`.
void wait_for(StreamName stream, const Mark& mark);

enum class Kind { kCopy, kCompute };
/// Queues `work`, which may touch the blocks in `memory`. If it throws, its device has failed.
WorkQueue::Ticket launch(StreamName stream, Kind kind, std::vector<Block*> memory,
                         std::function<void()> work);

/// Throws the failure of `device`, if it has one.
void check(int device);
/// Waits, then throws as check() does.
void synchronize(StreamName stream);
void synchronize(const Mark& mark);
/// True when nothing waits or runs; a late stream begins. Throws as check() does.
bool finished(StreamName stream);
bool finished(const Mark& mark);
/// Counts down to fail_allocation()'s: true for the one that fails.
bool allocation_fails(int device);
std::int64_t memory_of_device();

}  // namespace shardlab::fake
