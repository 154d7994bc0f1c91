#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/cluster.h"
#include "models/memory_account.h"

namespace at {
class Tensor;
}

namespace shardlab {

/// A LibTorch device as a lane sees it: the CPU, where an operator has run when its call returns;
/// or an accelerator ("cuda", for example), which runs behind its caller and has a queue that
/// computes and one per direction that copies.
class TorchDevice {
 public:
  enum class Queue : std::uint8_t { kCompute, kPromote, kDemote };

  /// Throws Error when LibTorch has no such kind of device or too few of them.
  explicit TorchDevice(const DeviceSpec& spec);
  ~TorchDevice();
  TorchDevice(const TorchDevice&) = delete;
  TorchDevice& operator=(const TorchDevice&) = delete;

  [[nodiscard]] bool is_cpu() const;

  /// What this thread does from now on goes to `queue`. A thread enters before anything else.
  void enter(Queue queue) const;

  /// That compute in host memory beside the device: all cores beside an accelerator, as many as a
  /// lane has where that is the CPU itself.
  [[nodiscard]] std::size_t host_threads() const;

  /// Matrix products that nobody reads and their gradients: an accelerator's libraries load, and
  /// take their own memory, at the first, which then is there before anything is counted or timed.
  /// In the computing queue.
  void warm_up() const;

  /// Gives an accelerator's computing queue a millisecond or so of work, so that what is asked for
  /// next is all there when its turn comes. Nothing on the CPU.
  void let_run_ahead() const;

  /// Until all that `queue` was given has run. Throws Error with what failed there.
  void synchronize(Queue queue) const;
  /// The same of the queue that this thread entered.
  void synchronize() const;

  /// In the device's memory.
  [[nodiscard]] at::Tensor empty(std::int64_t floats) const;
  /// Zeros in host memory; page-locked for an accelerator, so that copies run beside the host.
  [[nodiscard]] at::Tensor host_zeros(std::int64_t floats) const;
  /// Copies all of `from` to `to`, contiguous floats of the same number, in the queue that this
  /// thread entered; on an accelerator one of them lies there, the other too, on another device, or
  /// in page-locked host memory.
  void copy(at::Tensor& to, const at::Tensor& from) const;
  /// `host` itself on the CPU, else a copy on the device.
  [[nodiscard]] at::Tensor move_in(const at::Tensor& host) const;

  /// What an accelerator's allocator took beyond what it was asked for, relative, by their peaks
  /// since the meters' last reset; none on the CPU, and where it was asked for nothing.
  [[nodiscard]] std::optional<double> allocator_rounding() const;
  /// Gives memory that an accelerator's allocator keeps for later back to the system.
  void release_unused() const;

 private:
  friend class MemoryMeter;
  friend class Stopwatch;
  struct State;
  std::unique_ptr<State> state_;
};

/// Bytes that a lane's tensors take in its device's memory: what was asked for, to the byte. On the
/// CPU they are those of the scopes of account(); on an accelerator, those of the whole device
/// since the meter was made, whoever asked for them.
class MemoryMeter {
 public:
  /// `limit` binds on the CPU only.
  explicit MemoryMeter(const TorchDevice& device, Bytes limit = kUnlimited);

  [[nodiscard]] const MemoryAccount& account() const { return account_; }
  [[nodiscard]] Bytes current() const;
  [[nodiscard]] Bytes peak() const;  ///< Since the start or the last reset_peak().
  void reset_peak();
  /// Counts from now on: an accelerator's libraries keep what they took before.
  void restart();

 private:
  const TorchDevice& device_;
  MemoryAccount account_;
  Bytes before_ = 0;  ///< What the accelerator held already.
};

/// Times between marks in the order of a device's computing queue: what runs on an accelerator
/// between two marks is timed there, by its own clock, not by when the host asked for it.
class Stopwatch {
 public:
  /// Requires: the thread has entered the computing queue. Sets the first mark.
  explicit Stopwatch(const TorchDevice& device);
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  void mark();
  /// From each mark to the next, after waiting for the last.
  [[nodiscard]] std::vector<Duration> laps();

 private:
  const TorchDevice& device_;
  struct Marks;
  std::unique_ptr<Marks> marks_;
};

}  // namespace shardlab
