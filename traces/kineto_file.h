#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/device_work.h"
#include "traces/byte_stream.h"

namespace shardlab {

enum class KinetoKind : std::uint8_t {
  kOther,  ///< Nothing of a layer's costs is in it.
  kKernel,
  kCopy,
  kSet,
  kLaunch,  ///< A call of the CUDA or HIP runtime or driver.
  kOperator,
  kAnnotation,  ///< record_function, ProfilerStep#N, Optimizer.step.
  kModule,      ///< "nn.Module: Linear_0".
  kLink,        ///< An end of an arrow from a forward operator to its backward.
};

/// One event of a trace of PyTorch's profiler. Times are nanoseconds on the trace's own clock.
struct KinetoEvent {
  static constexpr std::int64_t kNone = -1;

  KinetoKind kind = KinetoKind::kOther;
  std::string_view name;  ///< Valid while the event is looked at; empty for launches, as it stands
                          ///< in the file for kernels.
  std::string_view process = {};  ///< Of the host, as it stands in the file; valid as the name.
  std::uint64_t thread = 0;       ///< Of the host: unlike for unlike pairs of process and thread.
  std::int64_t start_ns = 0, end_ns = 0;
  std::int64_t correlation = kNone;  ///< Shared by a launch and what it launched.
  std::int64_t device = 0;
  Bytes bytes = kNone;  ///< Of copies.
  /// Of operators that are matrix products: types of their inputs, as they stand in the file.
  std::string_view types = {};
  /// Autograd's, of an operator, or the id of a link: shared by a forward operator and its
  /// backward.
  std::int64_t sequence = kNone;
  bool backward = false;  ///< It is the backward one, by its "Fwd thread id"; or the arrow's head.
};

/// What a trace says of itself, and what of it is no event that can be used.
struct KinetoFacts {
  std::map<std::int64_t, std::string> devices;              ///< Names, by id.
  std::int64_t rank = -1;                                   ///< Of a distributed run; -1: not said.
  std::int64_t events = 0;                                  ///< All that were there.
  std::map<std::string, std::int64_t> unusable;             ///< Events, by reason.
  std::map<std::string, std::int64_t, std::less<>> others;  ///< Events of kind kOther, by category.
  std::int64_t trailing = 0;  ///< Bytes behind the end of the trace, without spaces.
  std::string cut_off;        ///< Why the trace ends too early; empty: it does not.
};

/// Reads Chrome-trace JSON as PyTorch's profiler (Kineto) writes it, event by event, in constant
/// memory. Three dialects: categories Kernel, Memcpy, Memset, Runtime, Operator; kernel,
/// gpu_memcpy,
/// gpu_memset, cuda_runtime, cpu_op with integer microseconds; the same with fractions. Calls
/// `take` for every event that is not kOther, in the order of the file. An event that is broken is
/// counted, whatever is wrong with it. Throws Error "byte N: what" when the whole is no such trace.
KinetoFacts read_kineto(ByteStream& from, const std::function<void(const KinetoEvent&)>& take);

/// "Memcpy HtoD (Pinned -> Device)": direction and kind of host memory stand in the name alone.
CopyClass kineto_copy(std::string_view name);

}  // namespace shardlab
