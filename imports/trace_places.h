#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "imports/place_sums.h"
#include "imports/range_sweep.h"
#include "imports/trace_layers.h"
#include "imports/trace_parts.h"
#include "imports/trace_records.h"

namespace shardlab {

/// Where each piece of work was launched, and by which process, which is added to `parts`; `lost`
/// is called for what has no launch of the process that is wanted.
SortedRecords<LaunchedWork> join_launches(SortedRecords<TracedWork>& works,
                                          SortedRecords<TracedLaunch>& launches, TraceParts& parts,
                                          std::size_t held_bytes,
                                          const std::function<void(const PlacedWork&)>& lost);

/// Finds the layers of work by where it was launched.
class TracePlacing {
 public:
  /// Every stage of sorting holds at most so many bytes.
  TracePlacing(SortedRecords<TracedRange>& ranges, const RangeNames& names,
               const TraceLayers& layers, const TraceSteps& steps, std::size_t held_bytes)
      : ranges_(ranges), names_(names), layers_(layers), steps_(steps), held_bytes_(held_bytes) {}

  /// Backwards by where they are, with the layers in which the forwards of their numbers lie: the
  /// last of each number made its node.
  SortedRecords<BackwardSpan> layers_of(SortedRecords<NumberedForward>& forwards,
                                        SortedRecords<NumberedBackward>& backwards) const;
  /// Calls `take` for each piece of work.
  void find(SortedRecords<LaunchedWork>& works, SortedRecords<BackwardSpan>& backwards,
            const std::function<void(const PlacedWork&)>& take);
  /// Ranges within too many others, in find().
  [[nodiscard]] std::int64_t passed_over() const { return passed_over_; }

 private:
  using Ranges = std::span<const TracedRange>;
  using Backwards = std::span<const BackwardSpan>;

  SortedRecords<NumberedLayer> learn(SortedRecords<NumberedForward>& forwards) const;
  [[nodiscard]] const TracedRange* innermost_layer(Ranges holding) const;
  [[nodiscard]] bool holds(Ranges holding, RangeRole role) const;
  [[nodiscard]] PlacedWork place(const TracedWork& work, Backwards backwards, Ranges holding) const;

  SortedRecords<TracedRange>& ranges_;
  const RangeNames& names_;
  const TraceLayers& layers_;
  const TraceSteps& steps_;
  std::size_t held_bytes_;
  std::int64_t passed_over_ = 0;
};

}  // namespace shardlab
