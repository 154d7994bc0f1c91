#include "profiler/range_carrier.h"

#include <chrono>
#include <utility>

#include <ATen/record_function.h>
#include <c10/util/ThreadLocalDebugInfo.h>

namespace shardlab {
namespace {

// CUPTI's default clock.
std::int64_t wall_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Of the kinds that LibTorch names, one that nothing in training uses.
const auto kSlot = c10::DebugInfoKind::PRODUCER_INFO;

/// What autograd's threads inherit from the thread that asked for the backward pass.
class Range : public c10::DebugInfoBase {
 public:
  Range(ActivitySession& session, std::uint64_t id) : session(session), id(id) {}
  ActivitySession& session;
  std::uint64_t id;
};

thread_local int depth = 0;  // Ranges that this thread has open: only the outermost is pushed.

/// One operator or backward function within a range.
class Mark : public at::ObserverContext {
 public:
  explicit Mark(Range& range) : range_(range) {
    if (depth++ == 0) range_.session.push_range(range_.id);
  }
  ~Mark() override {
    if (--depth == 0) range_.session.pop_range();
  }
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

 private:
  Range& range_;
};

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction&) {
  auto* range = static_cast<Range*>(c10::ThreadLocalDebugInfo::get(kSlot));
  return range == nullptr ? nullptr : std::make_unique<Mark>(*range);
}

void end(const at::RecordFunction&, at::ObserverContext*) {}  // The context goes with its operator.

}  // namespace

struct RangeCarrier::Open {
  explicit Open(const std::shared_ptr<Range>& range) : guard(kSlot, range), mark(*range) {}
  c10::DebugInfoGuard guard;
  Mark mark;
};

RangeCarrier::RangeCarrier(ActivitySession& session) : session_(session) {
  callback_ = at::addGlobalCallback(
      at::RecordFunctionCallback(&begin, &end)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
}

RangeCarrier::~RangeCarrier() {
  leave();
  at::removeCallback(callback_);
}

void RangeCarrier::enter(std::uint64_t range) {
  windows_.push_back({range, wall_ns(), 0});
  open_ = std::make_unique<Open>(std::make_shared<Range>(session_, range));
}

void RangeCarrier::leave() {
  if (open_ == nullptr) return;
  open_.reset();
  windows_.back().end_ns = wall_ns();
}

}  // namespace shardlab
