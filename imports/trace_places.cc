#include "imports/trace_places.h"

#include <algorithm>
#include <tuple>

namespace shardlab {

using Why = FoundPlace::Why;

std::vector<SweepPoint> launch_points(std::vector<TracedWork>& works,
                                      std::vector<TracedLaunch>& launches) {
  std::ranges::sort(works, {}, [](const TracedWork& work) {
    return std::tuple(work.correlation, work.start_ns, work.device);
  });
  std::ranges::sort(launches, {}, [](const TracedLaunch& launch) {
    return std::tuple(launch.correlation, launch.at_ns);
  });
  std::vector<SweepPoint> points;
  auto launch = launches.begin();
  for (std::size_t w = 0; w < works.size(); ++w) {
    while (launch != launches.end() && launch->correlation < works[w].correlation) ++launch;
    if (launch == launches.end()) break;
    if (launch->correlation == works[w].correlation) {
      points.push_back({launch->thread, launch->at_ns, w});
    }
  }
  return points;
}

void TracePlacing::learn(std::vector<NumberedOperator>& forwards) {
  std::ranges::sort(forwards, {}, [](const NumberedOperator& each) {
    return std::pair(each.sequence, each.start_ns);
  });
  std::vector<SweepPoint> points;
  for (std::size_t i = 0; i < forwards.size(); ++i) {
    const bool last = i + 1 == forwards.size() || forwards[i + 1].sequence != forwards[i].sequence;
    if (!last) continue;
    points.push_back({forwards[i].thread, forwards[i].start_ns, learnt_.size()});
    learnt_.emplace_back(forwards[i].sequence, TracePlace::kNoLayer);
  }
  sweep(ranges_, points, [&](std::size_t i, Ranges holding) {
    if (const auto range = innermost_layer(holding)) learnt_[i].second = layers_.of(*range);
  });
}

std::vector<FoundPlace> TracePlacing::find(std::size_t works, std::vector<SweepPoint>& points,
                                           std::vector<NumberedOperator>& backwards) const {
  std::vector<Backward> in_backward(works);
  sort_for_sweep(backwards);
  sweep(backwards, points, [&](std::size_t work, Ranges holding) {
    if (holding.empty()) return;
    const NumberedOperator& innermost = backwards[holding.back()];
    in_backward[work] = {layer_of(innermost.sequence), true, innermost.start_ns};
  });
  std::vector<FoundPlace> found(works);
  sweep(ranges_, points,
        [&](std::size_t work, Ranges holding) { found[work] = place(in_backward[work], holding); });
  for (const SweepPoint& point : points) {
    FoundPlace& each = found[point.index];
    each.place.step = steps_.of(point.at_ns);
    if (each.place.step == TraceSteps::kNone && each.why == Why::kPlaced) each.why = Why::kNoStep;
  }
  return found;
}

std::optional<std::size_t> TracePlacing::innermost_layer(Ranges holding) const {
  for (std::size_t i = holding.size(); i-- > 0;) {
    if (layers_.of(holding[i]) != TracePlace::kNoLayer) return holding[i];
  }
  return {};
}

bool TracePlacing::holds(Ranges holding, RangeRole role) const {
  return std::ranges::any_of(holding, [&](std::size_t r) { return ranges_[r].role == role; });
}

std::uint32_t TracePlacing::layer_of(std::int64_t sequence) const {
  const auto found = std::ranges::lower_bound(learnt_, sequence, {},
                                              &std::pair<std::int64_t, std::uint32_t>::first);
  return found == learnt_.end() || found->first != sequence ? TracePlace::kNoLayer : found->second;
}

FoundPlace TracePlacing::place(const Backward& backward, Ranges holding) const {
  FoundPlace found{{}, Why::kPlaced};
  const auto range = innermost_layer(holding);
  if (holds(holding, RangeRole::kOptimizer) || holds(holding, RangeRole::kZeroing)) {
    found.place.phase = Phase::kStep;
  } else if (range && (!backward.there || ranges_[*range].start_ns > backward.start_ns)) {
    found.place.layer = layers_.of(*range);
    if (holds(holding, RangeRole::kBackward)) found.place.phase = Phase::kBackward;
    // A layer's forward within a backward is its recomputation.
    if (backward.there) found.place.phase = Phase::kRecompute;
  } else if (backward.there) {
    found.place.layer = backward.layer;
    found.place.phase = Phase::kBackward;
    if (backward.layer == TracePlace::kNoLayer) found.why = Why::kBackwardOfNoLayer;
  } else {
    found.why = Why::kNoLayer;
  }
  return found;
}

}  // namespace shardlab
