#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "profiler/activity.h"
#include "profiler/activity_parser.h"

struct CUctx_st;  // what CUDA's CUcontext points to

namespace shardlab {

/// The kinds of records that a session turns on.
enum class RecordKind : std::uint8_t {
  kKernel,  ///< CONCURRENT_KERNEL: the kind KERNEL would let kernels run one at a time.
  kCopy,
  kPeerCopy,
  kSet,
  kRuntimeCall,
  kDriverCall,
  kRange,  ///< EXTERNAL_CORRELATION
  kOverhead,
};

/// What a session asks of CUPTI. Virtual, so that tests can let each call fail. Calls return
/// CUPTI's result, 0 when all is well, and do not throw. Ranges are for any thread, the rest for
/// one.
class CuptiApi {
 public:
  using BufferRequested = void(std::uint8_t** buffer, std::size_t* size, std::size_t* max_records);
  using BufferCompleted = void(CUctx_st* context, std::uint32_t stream, std::uint8_t* buffer,
                               std::size_t size, std::size_t valid);

  virtual ~CuptiApi() = default;
  virtual int subscribe() = 0;
  virtual int unsubscribe() = 0;
  /// Promises zeroed buffers; else CUPTI clears each in the thread that launches.
  virtual int promise_zeroed_buffers() = 0;
  virtual int register_callbacks(BufferRequested* requested, BufferCompleted* completed) = 0;
  virtual int enable(RecordKind kind) = 0;
  virtual int disable(RecordKind kind) = 0;
  /// Returns all buffers, those with unfinished records included. Waits for no device.
  virtual int flush() = 0;
  virtual int count_dropped(std::size_t& records) = 0;
  virtual int push_range(std::uint64_t id) = 0;
  virtual int pop_range() = 0;

  virtual ActivityLog parse(std::span<const RecordBuffer> buffers) = 0;
  /// What a result that is not 0 means, and what to do.
  [[nodiscard]] virtual std::string explain(int result) = 0;
};

/// Opens the driver and CUPTI; they stay open. Null when there is no driver, device or CUPTI, and
/// `problem` says which and what to do. Takes less than a millisecond without a driver.
std::shared_ptr<CuptiApi> load_cupti(std::string& problem);

}  // namespace shardlab
