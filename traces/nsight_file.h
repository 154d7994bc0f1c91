#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/device_work.h"
#include "traces/sqlite_database.h"

namespace shardlab {

/// What `nsys export --type sqlite` wrote, row by row; times are nanoseconds. Correlations are
/// unlike for unlike processes.
class NsightReader {
 public:
  struct Work {
    std::int64_t correlation = 0, start_ns = 0, end_ns = 0, device = 0;
    std::optional<std::int64_t> process = std::nullopt;  ///< Its id, where the export says it.
    std::string_view kernel = {};                        ///< Valid in the call; empty: not known.
  };
  struct Copy {
    Work work;
    Bytes bytes = 0;
    CopyClass of;
  };
  struct Launch {
    std::int64_t correlation = 0, start_ns = 0;
    std::uint64_t thread = 0;
    std::int64_t process = 0;
  };
  struct Range {
    std::string_view name;  ///< Valid in the call.
    std::uint64_t thread = 0;
    std::int64_t process = 0;
    std::int64_t start_ns = 0, end_ns = 0;
  };

  virtual ~NsightReader() = default;
  virtual void work(const Work& work) = 0;  ///< A kernel or a set.
  virtual void copy(const Copy& copy) = 0;
  virtual void launch(const Launch& launch) = 0;
  virtual void range(const Range& range) = 0;  ///< Of NVTX.
};

struct NsightFacts {
  std::map<std::int64_t, std::string> devices;   ///< Names, by the number that work has.
  std::map<std::string, std::int64_t> unusable;  ///< Rows, by reason.
};

/// Tables appear only when used, so none of them must be there but that of kernels. Columns behind
/// `?` are not in exports of every version (known by excerpts of their documentation; see
/// docs/formats.md):
///
///   CUPTI_ACTIVITY_KIND_KERNEL   start, end, deviceId, correlationId, ?globalPid,
///                                ?demangledName, ?shortName
///   CUPTI_ACTIVITY_KIND_MEMSET   start, end, deviceId, correlationId, ?globalPid
///   CUPTI_ACTIVITY_KIND_MEMCPY   the same, bytes, copyKind (1 to the device, 2 to the host),
///                                ?srcKind, ?dstKind (1: page-locked)
///   CUPTI_ACTIVITY_KIND_RUNTIME, CUPTI_ACTIVITY_KIND_DRIVER
///                                start, correlationId, globalTid
///   CUPTI_ACTIVITY_KIND_GRAPH_TRACE
///                                graphs as a whole, which are counted and not used
///   NVTX_EVENTS                  start, end, text or textId, globalTid, ?eventType (59 push and
///                                pop, 60 start and end)
///   StringIds, TARGET_INFO_GPU   id and value, id and name
///   TARGET_INFO_CUDA_DEVICE      cudaId, the deviceId of a process, and gpuId
///
/// Missing text is NULL or empty. A global id is a process id times 2^24 and more. Throws Error
/// where it is no such database, or a column is missing.
NsightFacts read_nsight(const SqliteDatabase& database, NsightReader& reader);

}  // namespace shardlab
