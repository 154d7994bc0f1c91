#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "imports/gpu_trace.h"
#include "imports/range_sweep.h"
#include "imports/trace_layers.h"

namespace shardlab {

/// Where a piece of work belongs, or why that is not known.
struct FoundPlace {
  enum class Why : std::uint8_t { kPlaced, kNoLaunch, kNoStep, kNoLayer, kBackwardOfNoLayer };

  TracePlace place;
  Why why = Why::kNoLaunch;
};

/// Where each piece of work was launched; work whose launch is not there has no point. Sorts both
/// by correlation; the index of a point is that of the work.
std::vector<SweepPoint> launch_points(std::vector<TracedWork>& works,
                                      std::vector<TracedLaunch>& launches);

/// Finds the layers of work by where it was launched. Requires ranges as sort_for_sweep() leaves
/// them.
class TracePlacing {
 public:
  TracePlacing(const std::vector<TracedRange>& ranges, const TraceLayers& layers,
               const TraceSteps& steps)
      : ranges_(ranges), layers_(layers), steps_(steps) {}

  /// In which layers autograd's operators of forwards lie: the last of each number made its node.
  void learn(std::vector<NumberedOperator>& forwards);
  /// Of so many works with these launch_points().
  std::vector<FoundPlace> find(std::size_t works, std::vector<SweepPoint>& points,
                               std::vector<NumberedOperator>& backwards) const;

 private:
  /// The innermost backward operator that holds a launch.
  struct Backward {
    std::uint32_t layer = TracePlace::kNoLayer;
    bool there = false;
    std::int64_t start_ns = 0;
  };
  using Ranges = std::span<const std::size_t>;

  [[nodiscard]] std::optional<std::size_t> innermost_layer(Ranges holding) const;
  [[nodiscard]] bool holds(Ranges holding, RangeRole role) const;
  [[nodiscard]] std::uint32_t layer_of(std::int64_t sequence) const;
  [[nodiscard]] FoundPlace place(const Backward& backward, Ranges holding) const;

  const std::vector<TracedRange>& ranges_;
  const TraceLayers& layers_;
  const TraceSteps& steps_;
  std::vector<std::pair<std::int64_t, std::uint32_t>> learnt_;  ///< Layers by autograd's number.
};

}  // namespace shardlab
