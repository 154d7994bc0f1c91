#include "imports/trace_places.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "imports/by_number.h"

namespace shardlab {

using Why = PlacedWork::Why;

namespace {

/// The launches of one number: the first of the process that is wanted, and who else has it.
struct Launches {
  std::optional<TracedLaunch> first;
  bool others = false;
  std::vector<std::uint32_t> processes;  ///< Of work of which it is not yet told.
};

/// Copies between host and device do not tell whose a GPU is.
void tell(Launches& found, const TracedWork& work, TraceParts& parts) {
  if (!work.worked) return;
  for (const std::uint32_t process : found.processes) parts.add_work(process);
  found.processes.clear();
}

}  // namespace

SortedRecords<LaunchedWork> join_launches(SortedRecords<TracedWork>& works,
                                          SortedRecords<TracedLaunch>& launches, TraceParts& parts,
                                          std::size_t held_bytes,
                                          const std::function<void(const PlacedWork&)>& lost) {
  SortedRecords<LaunchedWork> result(held_bytes);
  ByNumber<TracedLaunch, &TracedLaunch::correlation> by_number(launches);
  std::optional<std::int64_t> number;
  Launches found;
  auto all = works.read();
  while (const TracedWork* work = all.next()) {
    if (number != work->correlation) {
      found = {};
      number = work->correlation;
      by_number.visit(*number, [&](const TracedLaunch& launch) {
        if (found.first && found.first->process == launch.process) return;
        found.processes.push_back(launch.process);
        const bool first = !found.first && parts.wanted(launch.process);
        if (first) found.first = launch;
        found.others = found.others || !first;
      });
    }
    tell(found, *work, parts);
    if (found.first && !(found.others && parts.may_collide())) {
      result.add({found.first->thread, found.first->at_ns, *work});
    } else {
      lost({*work,
            {},
            found.first    ? Why::kSeveralLaunches
            : found.others ? Why::kOtherProcess
                           : Why::kNoLaunch});
    }
  }
  return result;
}

SortedRecords<NumberedLayer> TracePlacing::learn(SortedRecords<NumberedForward>& forwards) const {
  SortedRecords<NumberedPoint> points(held_bytes_);
  std::optional<NumberedForward> last;
  const auto take_last = [&] { points.add({last->thread, last->at_ns, last->sequence}); };
  auto all = forwards.read();
  while (const NumberedForward* forward = all.next()) {
    if (last && last->sequence != forward->sequence) take_last();
    last = *forward;
  }
  if (last) take_last();
  SortedRecords<NumberedLayer> result(held_bytes_);
  RangeSweep<TracedRange> sweep(ranges_);
  auto by_place = points.read();
  while (const NumberedPoint* point = by_place.next()) {
    const TracedRange* const range = innermost_layer(sweep.holding(point->thread, point->at_ns));
    if (range != nullptr) result.add({point->sequence, layers_.of(*range)});
  }
  return result;
}

SortedRecords<BackwardSpan> TracePlacing::layers_of(
    SortedRecords<NumberedForward>& forwards, SortedRecords<NumberedBackward>& backwards) const {
  SortedRecords<BackwardSpan> result(held_bytes_);
  if (backwards.empty()) return result;
  SortedRecords<NumberedLayer> learnt = learn(forwards);
  ByNumber<NumberedLayer, &NumberedLayer::sequence> by_number(learnt);
  std::optional<NumberedLayer> last;
  auto all = backwards.read();
  while (const NumberedBackward* backward = all.next()) {
    if (!last || last->sequence != backward->sequence) {
      last = {backward->sequence, TraceLayers::kNone};
      by_number.visit(backward->sequence, [&](const NumberedLayer& forward) { last = forward; });
    }
    result.add({backward->thread, backward->start_ns, backward->end_ns, last->layer});
  }
  return result;
}

void TracePlacing::find(SortedRecords<LaunchedWork>& works, SortedRecords<BackwardSpan>& backwards,
                        const std::function<void(const PlacedWork&)>& take) {
  RangeSweep<TracedRange> ranges(ranges_);
  RangeSweep<BackwardSpan> in_backward(backwards);
  auto all = works.read();
  while (const LaunchedWork* launched = all.next()) {
    const auto& [thread, at_ns, work] = *launched;
    PlacedWork placed =
        place(work, in_backward.holding(thread, at_ns), ranges.holding(thread, at_ns));
    placed.place.step = steps_.of(at_ns);
    if (placed.place.step == TraceSteps::kNone && placed.why == Why::kPlaced) {
      placed.why = Why::kNoStep;
    }
    take(placed);
  }
  passed_over_ = ranges.passed_over() + in_backward.passed_over();
}

const TracedRange* TracePlacing::innermost_layer(Ranges holding) const {
  for (std::size_t i = holding.size(); i-- > 0;) {
    if (layers_.of(holding[i]) != TraceLayers::kNone) return &holding[i];
  }
  return nullptr;
}

bool TracePlacing::holds(Ranges holding, RangeRole role) const {
  return std::ranges::any_of(
      holding, [&](const TracedRange& range) { return names_.all()[range.name].role == role; });
}

/// The innermost backward counts.
PlacedWork TracePlacing::place(const TracedWork& work, Backwards backwards, Ranges holding) const {
  PlacedWork found{work, {}, Why::kPlaced};
  const TracedRange* const range = innermost_layer(holding);
  const bool backward = !backwards.empty();
  if (holds(holding, RangeRole::kOptimizer) || holds(holding, RangeRole::kZeroing)) {
    found.place.phase = Phase::kStep;
  } else if (range != nullptr && (!backward || range->start_ns > backwards.back().start_ns)) {
    found.place.layer = layers_.of(*range);
    if (holds(holding, RangeRole::kBackward)) found.place.phase = Phase::kBackward;
    // A layer's forward within a backward is its recomputation.
    if (backward) found.place.phase = Phase::kRecompute;
  } else if (backward) {
    found.place.layer = backwards.back().layer;
    found.place.phase = Phase::kBackward;
    if (found.place.layer == TraceLayers::kNone) found.why = Why::kBackwardOfNoLayer;
  } else {
    found.why = Why::kNoLayer;
  }
  return found;
}

}  // namespace shardlab
