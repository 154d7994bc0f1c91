#include "imports/trace_places.h"

#include <algorithm>
#include <optional>

namespace shardlab {

using Why = PlacedWork::Why;

SortedRecords<LaunchedWork> join_launches(
    SortedRecords<TracedWork>& works, SortedRecords<TracedLaunch>& launches, std::size_t held_bytes,
    const std::function<void(const TracedWork&)>& unlaunched) {
  SortedRecords<LaunchedWork> result(held_bytes);
  auto all_works = works.read();
  auto all_launches = launches.read();
  const TracedLaunch* launch = all_launches.next();
  while (const TracedWork* work = all_works.next()) {
    while (launch != nullptr && launch->correlation < work->correlation) {
      launch = all_launches.next();
    }
    if (launch != nullptr && launch->correlation == work->correlation) {
      result.add({launch->thread, launch->at_ns, *work});
    } else {
      unlaunched(*work);
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
  auto all_learnt = learnt.read();
  auto all = backwards.read();
  const NumberedLayer* forward = all_learnt.next();
  while (const NumberedBackward* backward = all.next()) {
    while (forward != nullptr && forward->sequence < backward->sequence) {
      forward = all_learnt.next();
    }
    const bool known = forward != nullptr && forward->sequence == backward->sequence;
    result.add({backward->thread, backward->start_ns, backward->end_ns,
                known ? forward->layer : TraceLayers::kNone});
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
