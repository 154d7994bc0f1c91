#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "imports/gpu_trace.h"
#include "imports/imported.h"
#include "profiler/samples.h"

namespace shardlab {

/// The minibatches of a trace, told apart by ranges, else by the ends of optimizer steps, else all
/// one.
class TraceSteps {
 public:
  explicit TraceSteps(const std::vector<TracedRange>& ranges);
  static constexpr std::uint32_t kNone = UINT32_MAX;
  [[nodiscard]] std::uint32_t of(std::int64_t at_ns) const;
  [[nodiscard]] std::string method() const { return method_; }

 private:
  std::vector<std::pair<std::int64_t, std::int64_t>> spans_;  ///< By start.
  std::string method_;
};

/// Which layer's what of which minibatch something belongs to.
struct TracePlace {
  static constexpr std::uint32_t kNoLayer = UINT32_MAX;
  std::uint32_t layer = kNoLayer;  ///< None: with kStep of the whole model.
  std::uint32_t step = TraceSteps::kNone;
  Phase phase = Phase::kForward;
  bool operator==(const TracePlace&) const = default;
};

/// Times of one layer and phase, or of the optimizer: per minibatch from the first start to the
/// last end without what others did in between.
struct PlaceTimes {
  Duration busy{};  ///< The union of its work.
  Duration gaps{};  ///< Between pieces of its work that nothing else came between.
};

/// Adds up work by place. Requires work by device and start.
class PlaceSums {
 public:
  void add(const TracedWork& work, const TracePlace& place);
  /// Median and spread over the minibatches that have such work; none where no one has.
  [[nodiscard]] std::optional<Measured> measured(std::uint32_t layer, Phase phase) const;

 private:
  struct Sum {
    PlaceTimes times;
    std::int64_t last_end_ns = INT64_MIN;
  };
  static std::uint64_t key(std::uint32_t layer, Phase phase);

  std::map<std::uint64_t, std::map<std::uint32_t, Sum>> sums_;  ///< By layer and phase, minibatch.
  std::int64_t device_ = -1, device_end_ns_ = 0;
  TracePlace last_;
  bool first_ = true;
};

/// The layers among ranges, in the order of their first forward.
class TraceLayers {
 public:
  /// Leaves annotations out where modules are named.
  TraceLayers(const std::vector<TracedRange>& ranges, const GpuTrace& trace,
              const RangeRules& rules, const TraceSteps& steps);
  /// Of the range at that place; TracePlace::kNoLayer where it is none.
  [[nodiscard]] std::uint32_t of(std::size_t range) const { return layer_of_[range]; }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::uint32_t> layer_of_;
  std::vector<std::string> names_;
};

}  // namespace shardlab
