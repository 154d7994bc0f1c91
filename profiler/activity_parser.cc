#include "profiler/activity_parser.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <cupti.h>
#include <fmt/format.h>

namespace shardlab {
namespace {

using NextRecord = decltype(&cuptiActivityGetNextRecord);

// Records grow at their end from version to version, so each is read as the oldest type that holds
// what we want: that is a prefix of what any CUPTI from CUDA 11 on writes.
using KernelRecord = CUpti_ActivityKernel3;
using CopyRecord = CUpti_ActivityMemcpy;
using PeerCopyRecord = CUpti_ActivityMemcpyPtoP;
using SetRecord = CUpti_ActivityMemset;
using OverheadRecord = CUpti_ActivityOverhead;
static_assert(offsetof(KernelRecord, start) == offsetof(CUpti_ActivityKernel9, start));
static_assert(offsetof(KernelRecord, correlationId) ==
              offsetof(CUpti_ActivityKernel9, correlationId));
static_assert(offsetof(KernelRecord, name) == offsetof(CUpti_ActivityKernel9, name));

// CUpti_ActivityOverhead3 of CUDA 13, which older headers lack: where its pointer is, the size from
// which a record has it, and the kind that uses it.
constexpr std::size_t kOverheadDataOffset = 48;
constexpr std::size_t kOverheadWithData = 56;
constexpr int kCommandBufferFull = 6 << 16;

/// How many bytes a record of this kind takes in this CUPTI; 0 if it knows no such kind. Two
/// records are read from a buffer where every word could begin the second one.
std::size_t record_bytes(NextRecord next, CUpti_ActivityKind kind) {
  alignas(8) std::array<std::uint32_t, 256> words;
  words.fill(CUPTI_ACTIVITY_KIND_RUNTIME);
  words[0] = kind;
  auto* const begin = reinterpret_cast<std::uint8_t*>(words.data());
  CUpti_Activity* record = nullptr;
  for (int i = 0; i < 2; ++i) {
    if (next(begin, sizeof(words), &record) != CUPTI_SUCCESS) return 0;
  }
  return static_cast<std::size_t>(reinterpret_cast<std::uint8_t*>(record) - begin);
}

/// What CUPTI measured from `start` to `end`; nothing when it did not read its clock or the two are
/// in the wrong order.
std::optional<Interval> times(std::uint64_t start, std::uint64_t end) {
  constexpr std::uint64_t kLast = std::numeric_limits<std::int64_t>::max();
  if (start == 0 || start > end || end > kLast) return std::nullopt;
  return Interval{static_cast<std::int64_t>(start), static_cast<std::int64_t>(end)};
}

/// What the passes over the records collect.
class Parser {
 public:
  explicit Parser(NextRecord next) : next_(next) {}

  ActivityLog parse(std::span<const RecordBuffer> buffers);

 private:
  /// Calls `visit` for each record; returns the code that ended the buffer, and the bytes not read.
  template <typename Visit>
  std::pair<CUptiResult, std::size_t> walk(RecordBuffer buffer, Visit&& visit) const;

  // First pass: what activities will be joined with.
  void gather(CUpti_Activity* record);
  void gather_range(const CUpti_ActivityExternalCorrelation& record);
  void gather_launch(const CUpti_ActivityAPI& record);
  void find_reuse(std::uint32_t correlation, const Interval& call);
  void gather_overhead(CUpti_Activity* record);
  void count_end(CUptiResult end, std::size_t unread);

  // Second pass.
  void take(const CUpti_Activity* record);
  void join(Activity& activity);
  template <typename Record>
  void add(Activity activity, const Record& record);

  void report();

  NextRecord next_;
  std::size_t overhead_bytes_ = record_bytes(next_, CUPTI_ACTIVITY_KIND_OVERHEAD);
  std::unordered_map<std::uint32_t, std::uint64_t> ranges_;  ///< By correlation.
  std::unordered_map<std::uint32_t, Interval> launches_;     ///< By correlation.
  std::unordered_map<std::uint32_t, Interval> runtime_;      ///< Of them, the runtime's own.
  std::unordered_set<std::uint32_t> reused_;
  std::vector<Interval> overheads_;
  ActivityLog log_;
};

template <typename Visit>
std::pair<CUptiResult, std::size_t> Parser::walk(RecordBuffer buffer, Visit&& visit) const {
  CUpti_Activity* record = nullptr;
  const std::uint8_t* end = buffer.data();
  CUpti_Activity* last = nullptr;
  CUptiResult result = CUPTI_SUCCESS;
  while ((result = next_(buffer.data(), buffer.size(), &record)) == CUPTI_SUCCESS) {
    last = record;
    visit(record);
  }
  // CUPTI ends in the same way whether a buffer ends behind a record or within the next.
  if (last != nullptr) {
    end = reinterpret_cast<std::uint8_t*>(last) + record_bytes(next_, last->kind);
  }
  const std::ptrdiff_t unread = buffer.data() + buffer.size() - end;
  return {result, static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, unread))};
}

ActivityLog Parser::parse(std::span<const RecordBuffer> buffers) {
  for (const RecordBuffer buffer : buffers) {
    if (buffer.empty()) continue;  // CUPTI takes it for a wrong call
    const auto [end, unread] = walk(buffer, [&](CUpti_Activity* record) { gather(record); });
    count_end(end, unread);
  }
  for (const RecordBuffer buffer : buffers) {
    if (!buffer.empty()) walk(buffer, [&](const CUpti_Activity* record) { take(record); });
  }
  std::sort(log_.activities.begin(), log_.activities.end(), [](const auto& a, const auto& b) {
    return std::tie(a.start_ns, a.device, a.stream, a.correlation, a.kind, a.end_ns) <
           std::tie(b.start_ns, b.device, b.stream, b.correlation, b.kind, b.end_ns);
  });
  const Coverage overheads(std::move(overheads_));
  log_.overheads = overheads.intervals();
  log_.overhead_ns = overheads.total().count();
  report();
  return std::move(log_);
}

void Parser::gather(CUpti_Activity* record) {
  switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION:
      return gather_range(*reinterpret_cast<CUpti_ActivityExternalCorrelation*>(record));
    case CUPTI_ACTIVITY_KIND_RUNTIME:
    case CUPTI_ACTIVITY_KIND_DRIVER:
    case CUPTI_ACTIVITY_KIND_INTERNAL_LAUNCH_API:
      return gather_launch(*reinterpret_cast<CUpti_ActivityAPI*>(record));
    case CUPTI_ACTIVITY_KIND_OVERHEAD:
      return gather_overhead(record);
    case CUPTI_ACTIVITY_KIND_KERNEL:
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
    case CUPTI_ACTIVITY_KIND_MEMCPY:
    case CUPTI_ACTIVITY_KIND_MEMCPY2:
    case CUPTI_ACTIVITY_KIND_MEMSET:
      return;  // in the second pass
    default:
      ++log_.unknown_kinds;
  }
}

void Parser::gather_range(const CUpti_ActivityExternalCorrelation& record) {
  if (record.externalKind != CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0) return;  // somebody else's
  ranges_[record.correlationId] = record.externalId;
}

void Parser::gather_launch(const CUpti_ActivityAPI& record) {
  const auto call = times(record.start, record.end);
  if (!call) {
    ++log_.bad_host_times;
    return;
  }
  if (record.kind == CUPTI_ACTIVITY_KIND_RUNTIME) find_reuse(record.correlationId, *call);
  const auto [found, added] = launches_.try_emplace(record.correlationId, *call);
  if (added) return;
  // The runtime's call and the driver's call within it: the outer one is the launch.
  found->second.start_ns = std::min(found->second.start_ns, call->start_ns);
  found->second.end_ns = std::max(found->second.end_ns, call->end_ns);
}

/// Drivers' calls of one id may follow each other within a call of the runtime; the runtime's own
/// do not.
void Parser::find_reuse(std::uint32_t correlation, const Interval& call) {
  const auto [found, added] = runtime_.try_emplace(correlation, call);
  if (added) return;
  if (call.start_ns > found->second.end_ns || call.end_ns < found->second.start_ns) {
    reused_.insert(correlation);
  }
}

void Parser::gather_overhead(CUpti_Activity* record) {
  const auto& overhead = *reinterpret_cast<OverheadRecord*>(record);
  if (const auto lasted = times(overhead.start, overhead.end)) {
    overheads_.push_back(*lasted);
  } else {
    ++log_.bad_host_times;
  }
  if (overhead.overheadKind != kCommandBufferFull || overhead_bytes_ < kOverheadWithData) return;
  void* details = nullptr;  // ours to free(), says cupti_activity.h
  std::memcpy(&details, reinterpret_cast<std::uint8_t*>(record) + kOverheadDataOffset,
              sizeof(details));
  std::free(details);
}

void Parser::count_end(CUptiResult end, std::size_t unread) {
  if (end == CUPTI_ERROR_MAX_LIMIT_REACHED) {
    if (unread > 0) ++log_.truncated_buffers;
  } else {
    ++log_.unknown_kinds;
  }
  log_.unread_bytes += static_cast<std::int64_t>(unread);
}

std::pair<CopyDirection, bool> direction_of(const CopyRecord& record) {
  switch (record.copyKind) {
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOD:
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOA:
      return {CopyDirection::kHostToDevice, record.srcKind == CUPTI_ACTIVITY_MEMORY_KIND_PINNED};
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOH:
    case CUPTI_ACTIVITY_MEMCPY_KIND_ATOH:
      return {CopyDirection::kDeviceToHost, record.dstKind == CUPTI_ACTIVITY_MEMORY_KIND_PINNED};
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOD:
    case CUPTI_ACTIVITY_MEMCPY_KIND_ATOA:
    case CUPTI_ACTIVITY_MEMCPY_KIND_ATOD:
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOA:
    case CUPTI_ACTIVITY_MEMCPY_KIND_PTOP:
      return {CopyDirection::kDeviceToDevice, false};
    default:
      return {CopyDirection::kOther, false};
  }
}

void Parser::take(const CUpti_Activity* record) {
  Activity activity;
  switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_KERNEL:
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto& kernel = *reinterpret_cast<const KernelRecord*>(record);
      activity.kind = ActivityKind::kKernel;
      if (kernel.name != nullptr) activity.name = kernel.name;
      return add(std::move(activity), kernel);
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto& copy = *reinterpret_cast<const CopyRecord*>(record);
      activity.kind = ActivityKind::kCopy;
      std::tie(activity.direction, activity.pinned) = direction_of(copy);
      activity.bytes = static_cast<Bytes>(copy.bytes);
      return add(std::move(activity), copy);
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY2: {
      const auto& copy = *reinterpret_cast<const PeerCopyRecord*>(record);
      activity.kind = ActivityKind::kCopy;
      activity.direction = CopyDirection::kDeviceToDevice;
      activity.bytes = static_cast<Bytes>(copy.bytes);
      return add(std::move(activity), copy);
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto& set = *reinterpret_cast<const SetRecord*>(record);
      activity.kind = ActivityKind::kSet;
      activity.bytes = static_cast<Bytes>(set.bytes);
      return add(std::move(activity), set);
    }
    default:
      return;  // in the first pass
  }
}

/// With its range and its launch.
void Parser::join(Activity& activity) {
  if (reused_.contains(activity.correlation)) {
    ++log_.reused_ids;
    return;
  }
  if (const auto range = ranges_.find(activity.correlation); range != ranges_.end()) {
    activity.range = range->second;
  }
  if (const auto launch = launches_.find(activity.correlation); launch != launches_.end()) {
    activity.launch_start_ns = launch->second.start_ns;
    activity.launch_end_ns = launch->second.end_ns;
  }
}

template <typename Record>
void Parser::add(Activity activity, const Record& record) {
  if (activity.bytes < 0) {
    ++log_.bad_sizes;
    return;
  }
  const auto ran = times(record.start, record.end);
  if (!ran) {
    ++log_.bad_times;
    return;
  }
  activity.start_ns = ran->start_ns;
  activity.end_ns = ran->end_ns;
  activity.device = record.deviceId;
  activity.context = record.contextId;
  activity.stream = record.streamId;
  activity.correlation = record.correlationId;
  join(activity);
  if (activity.start_ns < activity.launch_start_ns) {
    ++log_.early_starts;
  } else {
    log_.activities.push_back(std::move(activity));
  }
}

void Parser::report() {
  const auto note = [&](std::int64_t count, const char* what) {
    if (count > 0) log_.problems.push_back(fmt::format("{} {}", count, what));
  };
  note(log_.bad_times, "activities without valid times were left out");
  note(log_.early_starts, "activities that start before their own launch were left out");
  note(log_.bad_sizes, "copies and sets of more bytes than can be counted were left out");
  note(log_.reused_ids,
       "activities belong to nobody: CUPTI's counter of calls came round, and several have their "
       "correlation");
  note(log_.bad_host_times, "launches and overheads without valid times were left out");
  note(log_.unknown_kinds, "records are of a kind that was not asked for");
  note(log_.truncated_buffers, "buffers end within a record");
  note(log_.unread_bytes, "bytes of records could not be read");
  log_.incomplete =
      log_.bad_times + log_.early_starts + log_.unread_bytes + log_.bad_sizes + log_.reused_ids > 0;
}

}  // namespace

ActivityLog parse_activities(std::span<const RecordBuffer> buffers, AnyFunction* next_record) {
  return Parser(reinterpret_cast<NextRecord>(next_record)).parse(buffers);
}

}  // namespace shardlab
