#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "imports/imported.h"
#include "imports/place_sums.h"
#include "imports/range_names.h"
#include "imports/sorted_records.h"
#include "imports/trace_layers.h"
#include "imports/trace_records.h"

namespace shardlab {

/// What is kept of a trace of a GPU, whatever its format: at most 48 bytes for each kernel, launch,
/// range of a layer and numbered operator, in any order, sorted in files where they are many. So
/// memory grows with layers, sizes of copies and minibatches (32 bytes each), and with nothing
/// else.
class GpuTrace {
 public:
  /// So many bytes of each kind of record are in memory.
  GpuTrace(const RangeRules& rules, std::size_t held_bytes);

  void launch(std::int64_t correlation, std::uint64_t thread, std::int64_t at_ns);
  void work(const TracedWork& work);
  /// A copy between host and device; another is work.
  void copy(CopyClass of, Bytes bytes, Duration time);
  void range(std::string_view name, RangeSource source, std::uint64_t thread, std::int64_t start_ns,
             std::int64_t end_ns);
  void numbered(bool backward, std::int64_t sequence, std::uint64_t thread, std::int64_t start_ns,
                std::int64_t end_ns);
  /// An end of an arrow from a forward operator to its backward, at the start of either. Read where
  /// no backward operator has a number.
  void link(bool backward, std::int64_t id, std::uint64_t thread, std::int64_t at_ns);
  /// A backward operator without a number, to which a link may lead.
  void unnumbered(std::uint64_t thread, std::int64_t start_ns, std::int64_t end_ns);

  /// Layers with their times, copies, the optimizer's step, what was not used and how it was taken.
  /// To be called once. Throws Error where there is no work or no range of a layer.
  void finish(Imported& to);

 private:
  void refuse_nothing() const;
  void number_operators();
  void number_by_links();
  SortedRecords<PlacedWork> place_works(Imported& to);
  void add_layers(const PlaceSums& sums, Imported& to) const;
  void take_copies(Imported& to);

  const RangeRules& rules_;
  std::size_t held_bytes_;
  bool step_range_ = false;  ///< There was one.
  RangeNames names_;
  TraceSteps steps_;
  TraceLayers layers_;
  SortedRecords<TracedLaunch> launches_;
  SortedRecords<TracedWork> works_;
  SortedRecords<TracedRange> ranges_;  ///< Without those of minibatches.
  SortedRecords<TracedOperator> operators_;
  SortedRecords<NumberedForward> forwards_, link_starts_;
  SortedRecords<NumberedBackward> backwards_;
  SortedRecords<NumberedPoint> link_ends_;
  SortedRecords<BackwardSpan> unnumbered_;
  SortedRecords<TracedCopy> copies_;
  std::int64_t empty_copies_ = 0;
};

}  // namespace shardlab
