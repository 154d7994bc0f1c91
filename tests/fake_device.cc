#include "tests/fake_device.h"

#include <array>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <c10/util/Exception.h>

namespace shardlab::fake {
namespace {

constexpr std::int64_t kPool = 32;  // As many as CUDA's per device and priority.
constexpr std::int64_t kMemory = std::int64_t{1} << 30;

struct Device {
  std::mutex mutex;
  std::map<StreamName, std::unique_ptr<WorkQueue>> queues;
  std::int64_t pool_requests = 0;
  std::int64_t new_streams = 0;
  std::exception_ptr failure;
  int work_to_failure = 0;        // 0: none will fail.
  int allocation_to_failure = 0;  // Likewise.
  std::atomic<std::int64_t> copies{0};
};

struct Settings {
  std::array<Device, kDevices> devices;
  std::atomic<bool> late{false};
  std::atomic<std::int64_t> copy_us{0};
  std::atomic<std::int64_t> compute_us{0};
  std::atomic<std::int64_t> memory{kMemory};
};

Settings& settings() {
  static auto* const kept = new Settings;  // The streams' threads use it until the process is gone.
  return *kept;
}

Device& state(int device) {
  TORCH_CHECK(0 <= device && device < kDevices, "the fake accelerator has devices 0 to ",
              kDevices - 1, ", not ", device);
  return settings().devices[static_cast<std::size_t>(device)];
}

bool counted_down(int& count) { return count > 0 && --count == 0; }

void delay(Kind kind) {
  const auto& chosen = kind == Kind::kCopy ? settings().copy_us : settings().compute_us;
  const std::chrono::microseconds time(chosen.load());
  const auto end = std::chrono::steady_clock::now() + time;
  while (time.count() > 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

std::exception_ptr failure(Device& device) {
  const std::lock_guard lock(device.mutex);
  return device.failure;
}

void fail(Device& device, std::exception_ptr why) {
  const std::lock_guard lock(device.mutex);
  if (!device.failure) device.failure = std::move(why);
}

class Opened {
 public:
  explicit Opened(const std::vector<Block*>& blocks) : blocks_(&blocks) {
    for (Block* block : blocks) block->open();
  }
  ~Opened() {
    for (Block* block : *blocks_) block->close();
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

 private:
  const std::vector<Block*>* blocks_;
};

struct Current {
  int device = 0;
  std::array<std::int64_t, kDevices> streams{};
};

Current& current() {
  thread_local Current value;
  return value;
}

}  // namespace

WorkQueue& queue(StreamName stream) {
  Device& device = state(stream.device);
  const std::lock_guard lock(device.mutex);
  auto& found = device.queues[stream];
  if (!found) {
    found = std::make_unique<WorkQueue>();
    found->set_late(settings().late);
  }
  return *found;
}

std::vector<WorkQueue*> queues(int device) {
  const std::lock_guard lock(state(device).mutex);
  std::vector<WorkQueue*> all;
  for (const auto& [name, each] : state(device).queues) all.push_back(each.get());
  return all;
}

StreamName new_stream(int device) {
  const std::lock_guard lock(state(device).mutex);
  return {device, kPool + ++state(device).new_streams};
}

StreamName pool_stream(int device) {
  const std::lock_guard lock(state(device).mutex);
  return {device, 1 + state(device).pool_requests++ % kPool};
}

int current_device() { return current().device; }

int exchange_device(int device) {
  state(device);  // Throws unless it is one.
  return std::exchange(current().device, device);
}

StreamName current_stream(int device) {
  state(device);
  return {device, current().streams[static_cast<std::size_t>(device)]};
}

StreamName exchange_stream(StreamName stream) {
  state(stream.device);
  auto& own = current().streams[static_cast<std::size_t>(stream.device)];
  return {stream.device, std::exchange(own, stream.id)};
}

Mark record_mark(StreamName stream) {
  Mark mark{&queue(stream), 0, stream.device, {}};
  mark.when = std::make_shared<std::chrono::steady_clock::time_point>();
  mark.ticket = mark.queue->push([when = mark.when] { *when = std::chrono::steady_clock::now(); });
  return mark;
}

void wait_for(StreamName stream, const Mark& mark) {
  queue(stream).push([mark] { mark.queue->wait(mark.ticket); });
}

WorkQueue::Ticket launch(StreamName stream, Kind kind, std::vector<Block*> memory,
                         std::function<void()> work) {
  Device& device = state(stream.device);
  std::unique_lock lock(device.mutex);
  const bool fails = counted_down(device.work_to_failure);
  lock.unlock();
  return queue(stream).push(
      [&device, kind, fails, memory = std::move(memory), work = std::move(work)] {
        if (failure(device)) return;
        delay(kind);
        try {
          TORCH_CHECK(!fails, "injected failure of the fake accelerator");
          const Opened opened(memory);
          work();
          if (kind == Kind::kCopy) ++device.copies;
        } catch (...) {
          fail(device, std::current_exception());
        }
      });
}

void check(int device) {
  if (const std::exception_ptr why = failure(state(device))) std::rethrow_exception(why);
}

void synchronize(StreamName stream) {
  WorkQueue& own = queue(stream);
  own.wait(own.end());
  check(stream.device);
}

void synchronize(const Mark& mark) {
  mark.queue->wait(mark.ticket);
  check(mark.device);
}

bool finished(StreamName stream) {
  WorkQueue& own = queue(stream);
  const WorkQueue::Ticket end = own.end();
  own.demand(end);
  check(stream.device);
  return own.done(end);
}

bool finished(const Mark& mark) {
  mark.queue->demand(mark.ticket);
  check(mark.device);
  return mark.queue->done(mark.ticket);
}

bool allocation_fails(int device) {
  const std::lock_guard lock(state(device).mutex);
  return counted_down(state(device).allocation_to_failure);
}

std::int64_t memory_of_device() { return settings().memory; }

void set_order(Order order) {
  settings().late = order == Order::kLate;
  for (int i = 0; i < kDevices; ++i) {
    for (WorkQueue* each : queues(i)) each->set_late(order == Order::kLate);
  }
}

void set_delays(Delays delays) {
  settings().copy_us = delays.copy.count();
  settings().compute_us = delays.compute.count();
}

void set_memory(std::int64_t bytes) { settings().memory = bytes; }

void fail_allocation(int device, int nth) {
  const std::lock_guard lock(state(device).mutex);
  state(device).allocation_to_failure = nth;
}

void fail_work(int device, int nth) {
  const std::lock_guard lock(state(device).mutex);
  state(device).work_to_failure = nth;
}

std::int64_t copies(int device) { return state(device).copies; }

void reset() {
  set_order(Order::kEager);
  set_delays({});
  set_memory(kMemory);
  for (int i = 0; i < kDevices; ++i) {
    for (WorkQueue* each : queues(i)) each->wait(each->end());
  }
  for (Device& device : settings().devices) {
    const std::lock_guard lock(device.mutex);
    device.failure = nullptr;
    device.work_to_failure = 0;
    device.allocation_to_failure = 0;
  }
}

struct Gate::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool opened = false;
};

Gate::Gate(int device) : state_(std::make_shared<State>()) {
  queue(current_stream(device)).push([state = state_] {
    std::unique_lock lock(state->mutex);
    state->changed.wait(lock, [&] { return state->opened; });
  });
}

Gate::~Gate() { open(); }

void Gate::open() {
  const std::lock_guard lock(state_->mutex);
  state_->opened = true;
  state_->changed.notify_all();
}

}  // namespace shardlab::fake
