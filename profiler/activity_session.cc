#include "profiler/activity_session.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace shardlab {
namespace {

struct NamedKind {
  RecordKind kind;
  const char* name;
};

// In this order. Ranges are recorded only for calls that are, so calls come first; driver calls
// because cuBLAS and others launch without the runtime.
constexpr NamedKind kKinds[] = {
    {RecordKind::kKernel, "CONCURRENT_KERNEL"},   {RecordKind::kCopy, "MEMCPY"},
    {RecordKind::kPeerCopy, "MEMCPY2"},           {RecordKind::kSet, "MEMSET"},
    {RecordKind::kRuntimeCall, "RUNTIME"},        {RecordKind::kDriverCall, "DRIVER"},
    {RecordKind::kRange, "EXTERNAL_CORRELATION"}, {RecordKind::kOverhead, "OVERHEAD"},
};

const char* name_of(RecordKind kind) {
  for (const NamedKind& named : kKinds) {
    if (named.kind == kind) return named.name;
  }
  return "?";
}

// Pushes of this thread that failed, or came within one that failed, and were not popped yet: their
// pops must not end the ranges around them.
thread_local std::int64_t failed_pushes = 0;

}  // namespace

std::unique_ptr<ActivitySession> ActivitySession::open(std::string& problem) {
  auto cupti = load_cupti(problem);
  return cupti == nullptr ? nullptr : std::make_unique<ActivitySession>(std::move(cupti));
}

ActivitySession::ActivitySession(std::shared_ptr<CuptiApi> cupti, const BufferSizes& sizes)
    : cupti_(std::move(cupti)), sizes_(sizes) {}

ActivitySession::~ActivitySession() {
  shut_down();
  if (collecting_) (void)ActivityBuffers::of_process().end();
  ActivityBuffers::of_process().trim();
}

void ActivitySession::start() {
  assert(!recording_);
  log_ = {};
  range_errors_ = 0;
  recording_ = begin();
  if (!recording_) shut_down();
}

bool ActivitySession::begin() {
  auto& buffers = ActivityBuffers::of_process();
  collecting_ = buffers.begin(sizes_);
  if (!collecting_) {
    log_.incomplete = true;
    log_.problems.emplace_back("another session of this process records: stop it first");
    return false;
  }
  if (const std::size_t late = buffers.late(); late > 0) {
    log_.problems.push_back(fmt::format("{} buffers came after the session before this", late));
  }
  // Records need no subscriber: cuptiActivityEnable() asks for none. But buffer callbacks are one
  // per process, so two profilers would take each other's records, and to subscribe is the one way
  // to find another and to keep it out: cupti_callbacks.h makes it the duty of all clients. We turn
  // no callback on, so launches do not pay for it.
  subscribed_ = well(cupti_->subscribe(), "cuptiSubscribe");
  if (!subscribed_) return false;
  if (const int result = cupti_->promise_zeroed_buffers(); result != 0) {  // only slower
    log_.problems.push_back("cuptiActivitySetAttribute: " + cupti_->explain(result));
  }
  registered_ =
      well(cupti_->register_callbacks(ActivityBuffers::requested, ActivityBuffers::completed),
           "cuptiActivityRegisterCallbacks");
  if (!registered_) return false;
  for (const NamedKind& named : kKinds) {
    const std::string call = fmt::format("cuptiActivityEnable({})", named.name);
    if (!well(cupti_->enable(named.kind), call)) return false;
    enabled_.push_back(named.kind);
  }
  return true;
}

void ActivitySession::push_range(std::uint64_t id) noexcept {
  if (failed_pushes == 0 && cupti_->push_range(id) == 0) return;
  ++failed_pushes;
  ++range_errors_;
}

void ActivitySession::pop_range() noexcept {
  if (failed_pushes > 0) {
    --failed_pushes;
  } else if (cupti_->pop_range() != 0) {
    ++range_errors_;
  }
}

ActivityLog ActivitySession::stop() {
  if (!recording_ && log_.problems.empty()) {
    log_.incomplete = true;
    log_.problems.emplace_back("the session was not started");
  }
  shut_down();
  recording_ = false;
  std::vector<ActivityBuffers::Buffer> buffers;
  if (std::exchange(collecting_, false)) buffers = ActivityBuffers::of_process().end();
  std::vector<RecordBuffer> records;
  for (const auto& buffer : buffers) records.push_back(buffer.records());

  ActivityLog log = cupti_->parse(records);
  ActivityBuffers::of_process().recycle(std::move(buffers));
  log.dropped += log_.dropped;
  log.incomplete = log.incomplete || log_.incomplete;
  log.problems.insert(log.problems.begin(), log_.problems.begin(), log_.problems.end());
  log.range_errors = range_errors_.exchange(0);
  if (log.range_errors > 0) {
    log.problems.push_back(
        fmt::format("{} calls failed that mark ranges: what they held is another's or nobody's",
                    log.range_errors));
  }
  log_ = {};
  return log;
}

void ActivitySession::shut_down() {
  for (; !enabled_.empty(); enabled_.pop_back()) {
    const RecordKind kind = enabled_.back();
    well(cupti_->disable(kind), fmt::format("cuptiActivityDisable({})", name_of(kind)));
  }
  if (std::exchange(registered_, false)) {
    well(cupti_->flush(), "cuptiActivityFlushAll");
    std::size_t dropped = 0;
    if (well(cupti_->count_dropped(dropped), "cuptiActivityGetNumDroppedRecords") && dropped > 0) {
      constexpr std::size_t kMost = std::numeric_limits<std::int64_t>::max() / 2;
      log_.dropped += static_cast<std::int64_t>(std::min(dropped, kMost));
      log_.incomplete = true;
      log_.problems.push_back(fmt::format("CUPTI had no room for {} records", dropped));
    }
  }
  if (std::exchange(subscribed_, false)) well(cupti_->unsubscribe(), "cuptiUnsubscribe");
}

bool ActivitySession::well(int result, const std::string& call) {
  if (result == 0) return true;
  log_.incomplete = true;
  log_.problems.push_back(call + ": " + cupti_->explain(result));
  return false;
}

}  // namespace shardlab
