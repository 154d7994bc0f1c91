#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

/// A device for tests that is as asynchronous as a GPU and computes with LibTorch's CPU kernels: to
/// the bit what the CPU computes. It is LibTorch's PrivateUse1 ("privateuseone:0"). Every stream is
/// a thread; memory is that of the process, but the host that touches it dies with SIGSEGV unless a
/// stream is just using it. Freed memory is refilled with NaNs in the order of its stream and goes
/// to the next allocation of that stream at once, as in CUDA's caching allocator. So what a missing
/// event or an early reuse of a buffer breaks on a GPU, it breaks here.
///
/// Not as on a GPU: a thread that reads a result waits for one stream, not for the device; random
/// operators draw from the CPU's generator; views of complex numbers are missing.
namespace shardlab::fake {

constexpr int kDevices = 4;

/// Not where LibTorch finds a GPU: it has one accelerator per process, and the GPU is first.
bool possible();

/// Requires possible(). Registers the device for the rest of the process. Does nothing when called
/// again. Call at::set_num_threads before: the streams' threads take the process's number when they
/// start.
void install();

enum class Order {
  kEager,  ///< A stream works as soon as it can: what runs too early shows.
  kLate,   ///< Only when someone waits for or queries it: what nobody waits for has not happened.
};
void set_order(Order order);

/// How long every work takes beyond its own time, on the stream's thread. Zero at the start.
struct Delays {
  std::chrono::microseconds copy{0};
  std::chrono::microseconds compute{0};
};
void set_delays(Delays delays);

/// Bytes of each device: beyond, an allocation throws c10::OutOfMemoryError. 1 GiB at the start.
void set_memory(std::int64_t bytes);

/// The `nth` allocation on `device` from now on, 1 for the next, throws c10::OutOfMemoryError.
void fail_allocation(int device, int nth);

/// The `nth` copy or operator queued on `device` from now on, 1 for the next, fails when it runs.
/// As after a CUDA error, nothing more runs on that device, and every wait for it and every query
/// throws until reset().
void fail_work(int device, int nth);

/// Copies that ran on streams of `device` since install(); one between devices at its source.
std::int64_t copies(int device);

/// Between tests: waits until all streams are empty, puts all settings back and forgets failures.
/// Gates must be open.
void reset();

/// Stops the stream that is the caller's current one on `device`: work queued later waits.
class Gate {
 public:
  explicit Gate(int device);
  ~Gate();  ///< Opens.
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  void open();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace shardlab::fake
