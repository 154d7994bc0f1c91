#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "profiler/activity_parser.h"

struct CUctx_st;

namespace shardlab {

/// Memory for records. A kernel with its launch takes some 320 bytes.
struct BufferSizes {
  std::size_t bytes = std::size_t{8} << 20;  ///< Of one buffer. A multiple of 4096.
  std::size_t count = 16;                    ///< Made before recording starts.
};

/// The buffers that CUPTI fills. One per process, as CUPTI's callbacks carry no data of ours; it
/// outlives every session, as CUPTI may hold a buffer for as long as it likes. A request is never
/// refused, whether a session records or not. For any thread; nothing is called under its lock.
class ActivityBuffers {
 public:
  struct FreeMemory {
    void operator()(std::uint8_t* memory) const { std::free(memory); }
  };
  /// Owned here until CUPTI asks for it, and again when it comes back.
  struct Buffer {
    std::unique_ptr<std::uint8_t[], FreeMemory> memory;
    std::size_t size = 0;
    std::size_t valid = 0;
    [[nodiscard]] RecordBuffer records() const { return {memory.get(), valid}; }
  };

  static ActivityBuffers& of_process();

  /// Makes buffers and collects what comes back from now on. False when it collects already.
  [[nodiscard]] bool begin(const BufferSizes& sizes);
  /// Ends that; returns what was filled. What comes later is lost, and counted.
  [[nodiscard]] std::vector<Buffer> end();
  /// Takes buffers back, for the next session.
  void recycle(std::vector<Buffer> buffers);
  /// Gives unused memory back to the system.
  void trim();
  /// Buffers with records that came back while nobody collected, since the last call.
  [[nodiscard]] std::size_t late();

  // CUPTI's callbacks. They use the buffers of the process.
  static void requested(std::uint8_t** buffer, std::size_t* size, std::size_t* max_records);
  static void completed(CUctx_st* context, std::uint32_t stream, std::uint8_t* buffer,
                        std::size_t size, std::size_t valid);

 private:
  ActivityBuffers() = default;

  [[nodiscard]] Buffer take();
  void put(Buffer buffer);
  /// One more unused buffer.
  void add_spare(std::size_t bytes);

  std::mutex mutex_;
  BufferSizes sizes_;
  bool collecting_ = false;
  std::vector<Buffer> unused_;  ///< Zeroed.
  std::vector<Buffer> filled_;
  std::size_t late_ = 0;
};

}  // namespace shardlab
