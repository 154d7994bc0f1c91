#pragma once

#include <cstdint>
#include <tuple>

#include "core/bytes.h"
#include "core/device_work.h"

/// What is kept of a trace of a GPU, for SortedRecords. Times are nanoseconds on one clock; a
/// thread is one of the host.
namespace shardlab {

/// A thread of the host and the process it is of.
struct HostThread {
  HostThread(std::uint64_t of_thread, std::uint32_t of_process = 0)  // NOLINT: a lone one's number.
      : thread(of_thread), process(of_process) {}
  std::uint64_t thread = 0;  ///< Unlike for unlike pairs of process and thread.
  std::uint32_t process = 0;
};

/// Copies of which the host has one side.
inline bool between_host_and_device(const CopyClass& of) {
  return of.direction == CopyDirection::kHostToDevice ||
         of.direction == CopyDirection::kDeviceToHost;
}

/// Something a device did, and the call that launched it.
struct TracedWork {
  std::int64_t correlation = 0;  ///< Shared with its launch.
  std::int64_t start_ns = 0, end_ns = 0;
  std::int64_t device = 0;
  Bytes bytes = 0;      ///< Of a copy.
  CopyClass copied{};   ///< The same.
  bool worked = true;   ///< False: only copied, which takes no time of a layer.
  bool a_copy = false;  ///< Within a device it is both.
  [[nodiscard]] auto order() const { return std::tuple(correlation, start_ns, device); }
};

struct TracedLaunch {
  std::int64_t correlation = 0;
  std::int64_t at_ns = 0;
  std::uint64_t thread = 0;
  std::uint32_t process = 0;
  [[nodiscard]] auto order() const { return std::tuple(correlation, at_ns); }
};

/// Work and where it was launched.
struct LaunchedWork {
  std::uint64_t thread = 0;
  std::int64_t at_ns = 0;
  TracedWork work;
  [[nodiscard]] auto order() const { return std::tuple(thread, at_ns); }
};

/// A named span of a thread.
struct TracedRange {
  std::uint64_t thread = 0;
  std::int64_t start_ns = 0, end_ns = 0;
  std::uint32_t name = 0;        ///< Index into RangeNames.
  std::uint32_t occurrence = 0;  ///< Of operators: so many of the same minibatch were before it.
  [[nodiscard]] auto order() const { return std::tuple(thread, start_ns, -end_ns); }
};

/// The range of an operator, before it is known which of its minibatch it is.
struct TracedOperator {
  TracedRange range;
  [[nodiscard]] auto order() const { return std::tuple(range.name, range.start_ns, range.thread); }
};

/// An operator's forward that autograd numbered, or the start of a link.
struct NumberedForward {
  std::int64_t sequence = 0;
  std::int64_t at_ns = 0;
  std::uint64_t thread = 0;
  [[nodiscard]] auto order() const { return std::tuple(sequence, at_ns); }
};

/// An instant of a thread to which a number belongs.
struct NumberedPoint {
  std::uint64_t thread = 0;
  std::int64_t at_ns = 0;
  std::int64_t sequence = 0;
  [[nodiscard]] auto order() const { return std::tuple(thread, at_ns); }
};

/// In which layer the forward of that number was.
struct NumberedLayer {
  std::int64_t sequence = 0;
  std::uint32_t layer = 0;
  [[nodiscard]] auto order() const { return sequence; }
};

/// The backward of an operator, on whatever thread.
struct NumberedBackward {
  std::int64_t sequence = 0;
  std::uint64_t thread = 0;
  std::int64_t start_ns = 0, end_ns = 0;
  [[nodiscard]] auto order() const { return sequence; }
};

/// The same by where it is; without a number as long as no link leads to it.
struct BackwardSpan {
  std::uint64_t thread = 0;
  std::int64_t start_ns = 0, end_ns = 0;
  std::uint32_t layer = 0;
  [[nodiscard]] auto order() const { return std::tuple(thread, start_ns, -end_ns); }
};

/// A copy between host and device.
struct TracedCopy {
  CopyClass of;
  Bytes bytes = 0;
  std::int64_t time_ns = 0;
  [[nodiscard]] auto order() const { return std::tuple(of, bytes, time_ns); }
};

}  // namespace shardlab
