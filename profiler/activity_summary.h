#pragma once

#include <cstdint>
#include <optional>

#include "core/bytes.h"
#include "core/time.h"
#include "profiler/activity.h"

namespace shardlab {

/// How the work of a run lay on its devices, by their own records: sums over the devices.
struct ActivitySummary {
  struct Copies {
    std::int64_t count = 0;
    Bytes bytes = 0;
    Duration busy{};     ///< The union.
    Duration beside{};   ///< Of it, while kernels ran.
    Bytes pageable = 0;  ///< Bytes that did not lie in page-locked host memory.
  };

  Duration span{};     ///< From its first start to its last end.
  Duration kernels{};  ///< The union of kernels and sets.
  Copies to_device, to_host;
  Duration copies{};  ///< The union of both directions.
  Duration hidden{};  ///< Of it, while kernels ran.

  Duration hideable{};  ///< The shorter of copies and kernels.

  /// Hidden of what could be; nothing where nothing could be.
  [[nodiscard]] std::optional<double> hidden_share() const;
};

ActivitySummary summarize(const ActivityLog& log);

}  // namespace shardlab
