#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "core/phase.h"
#include "core/profile.h"
#include "imports/imported.h"
#include "imports/sorted_records.h"
#include "imports/trace_layers.h"
#include "imports/trace_records.h"
#include "profiler/work_sums.h"

namespace shardlab {

/// Which layer's what of which minibatch something belongs to.
struct TracePlace {
  std::uint32_t layer = TraceLayers::kNone;  ///< None: with kStep of the whole model.
  std::uint32_t step = TraceSteps::kNone;
  Phase phase = Phase::kForward;
  [[nodiscard]] auto order() const { return std::tuple(layer, phase, step); }
  bool operator==(const TracePlace&) const = default;
};

/// Work and where it belongs, or why that is not known.
struct PlacedWork {
  enum class Why : std::uint8_t {
    kPlaced,
    kNoLaunch,
    kOtherProcess,
    kSeveralLaunches,
    kNoStep,
    kNoLayer,
    kBackwardOfNoLayer
  };

  TracedWork work;
  TracePlace place;
  Why why = Why::kNoLaunch;
  [[nodiscard]] auto order() const {
    return std::tuple(work.device, work.start_ns, work.end_ns, work.correlation);
  }
};

/// Adds up work by place, and minibatches by layer and phase: a time is from the first start to the
/// last end without what others did in between. Requires work by device and start.
class PlaceSums {
 public:
  explicit PlaceSums(std::size_t held_bytes)
      : most_open_(held_bytes / sizeof(Part) / 64), parts_(held_bytes), copies_(held_bytes) {}

  void add(const TracedWork& work, const TracePlace& place);
  void finish();

  /// Median and spread over the minibatches that have such work; none where no one has. This and
  /// the rest require finish().
  [[nodiscard]] std::optional<Measured> measured(std::uint32_t layer, Phase phase) const;
  /// What ran and what was copied then; none where neither was seen.
  [[nodiscard]] std::optional<DeviceWork> recorded(std::uint32_t layer, Phase phase) const;
  [[nodiscard]] const DeviceTime& device_time() const { return device_time_; }

 private:
  /// Of a place, which may have several.
  struct Part {
    TracePlace place;
    std::int64_t launches = 0;
    Duration busy{}, waiting{}, gaps{};
    [[nodiscard]] auto order() const { return place.order(); }
  };
  struct CopyPart {
    TracePlace place;
    CopyClass of;
    CopyTotals totals;
    [[nodiscard]] auto order() const { return place.order(); }
  };
  struct Hash {
    std::size_t operator()(const TracePlace& place) const;
  };
  using Key = std::pair<std::uint32_t, Phase>;
  using Sums = WorkSums<TracePlace, Hash>;

  void put_away(std::int64_t before_ns);
  void end_device();
  void add_minibatches();
  Duration& part_of(const TracePlace& place);

  Sums sums_;  ///< Of places to which work may be added, on `device_`.
  std::size_t most_open_;
  SortedRecords<Part> parts_;
  SortedRecords<CopyPart> copies_;
  std::map<Key, Measured> measured_;
  std::map<Key, DeviceWork> recorded_;
  DeviceTime device_time_;
  std::optional<std::int64_t> device_;
};

}  // namespace shardlab
