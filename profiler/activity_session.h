#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "profiler/activity.h"
#include "profiler/activity_buffers.h"
#include "profiler/cupti.h"

namespace shardlab {

/// Records what CUDA devices do, through CUPTI. Failures never stop the program: they are in the
/// log. One session of a process records at a time. start(), stop() and the destructor are for one
/// thread, the ranges for any.
class ActivitySession {
 public:
  /// Null when there is no device or no CUPTI; `problem` says which.
  static std::unique_ptr<ActivitySession> open(std::string& problem);

  explicit ActivitySession(std::shared_ptr<CuptiApi> cupti, const BufferSizes& sizes = {});
  ~ActivitySession();
  ActivitySession(const ActivitySession&) = delete;
  ActivitySession& operator=(const ActivitySession&) = delete;

  /// Requires that it does not record.
  void start();
  [[nodiscard]] bool recording() const { return recording_; }

  /// What this thread launches until pop_range() belongs to `id`, which is not 0; the innermost
  /// counts. Backward passes launch from threads of autograd's, which need ranges of their own.
  /// Calls that fail are counted.
  void push_range(std::uint64_t id) noexcept;
  void pop_range() noexcept;

  /// What was recorded since start(). The caller waits for its devices before: work that is still
  /// running has no end yet, and is left out. May be called after a start() that failed.
  ActivityLog stop();

 private:
  /// False, with a problem, when a step fails.
  bool begin();
  /// Undoes what begin() did, the last first, and flushes.
  void shut_down();
  /// Whether that call of CUPTI's went well; a problem of an incomplete log if not.
  bool well(int result, const std::string& call);

  std::shared_ptr<CuptiApi> cupti_;
  BufferSizes sizes_;
  // What is to be undone.
  bool collecting_ = false;
  bool subscribed_ = false;
  bool registered_ = false;
  std::vector<RecordKind> enabled_;

  bool recording_ = false;
  ActivityLog log_;  ///< Only what went wrong, until stop().
  std::atomic<std::int64_t> range_errors_{0};
};

}  // namespace shardlab
