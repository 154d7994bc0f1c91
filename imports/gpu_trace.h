#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "imports/imported.h"
#include "imports/kernel_precision.h"
#include "imports/place_sums.h"
#include "imports/range_names.h"
#include "imports/sorted_records.h"
#include "imports/trace_copies.h"
#include "imports/trace_layers.h"
#include "imports/trace_parts.h"
#include "imports/trace_records.h"

namespace shardlab {

/// What is kept of a trace of a GPU, whatever its format: at most 64 bytes for each kernel, launch,
/// range of a layer and numbered operator, in any order, sorted in files where they are many. So
/// memory grows with layers, sizes of copies and minibatches (32 bytes each), and with nothing
/// else.
class GpuTrace {
 public:
  /// Keeps so many bytes of each kind of record in memory, and the process and GPU that are chosen.
  /// Refers to both.
  GpuTrace(const RangeRules& rules, const ImportOptions& options);

  /// For HostThread: a number for a process of that name.
  std::uint32_t process(std::string_view name) { return parts_.process(name); }
  [[nodiscard]] bool wanted(std::uint32_t process) const { return parts_.wanted(process); }
  void launch(std::int64_t correlation, HostThread thread, std::int64_t at_ns);
  /// A kernel, which has a name, or other work on a device; of a process where that is known
  /// without its launch.
  void work(const TracedWork& work, std::string_view kernel = "",
            std::optional<std::uint32_t> process = std::nullopt);
  /// A copy; one that is not between host and device is work too.
  void copy(TracedWork copy, const CopyClass& of, Bytes bytes,
            std::optional<std::uint32_t> process = std::nullopt);
  void range(std::string_view name, RangeSource source, HostThread thread, std::int64_t start_ns,
             std::int64_t end_ns);
  void numbered(bool backward, std::int64_t sequence, HostThread thread, std::int64_t start_ns,
                std::int64_t end_ns);
  /// An end of an arrow from a forward operator to its backward, at the start of either. Read where
  /// no backward operator has a number.
  void link(bool backward, std::int64_t id, HostThread thread, std::int64_t at_ns);
  /// A backward operator without a number, to which a link may lead.
  void unnumbered(HostThread thread, std::int64_t start_ns, std::int64_t end_ns);
  /// Types of the inputs of a matrix product.
  void product(std::string_view types) { precisions_.operation(types); }

  /// Layers with their times, copies, the optimizer's step, the precision, what was not used and
  /// how it was taken. To be called once; `devices` are names of GPUs by number. Throws Error where
  /// there is no work or no range of a layer, where it is of several processes or GPUs.
  void finish(const std::map<std::int64_t, std::string>& devices, Imported& to);

 private:
  void refuse_nothing() const;
  SortedRecords<LaunchedWork> launched(SortedRecords<PlacedWork>& lost);
  void number_operators();
  void number_by_links();
  void place_works(SortedRecords<LaunchedWork>& launched, SortedRecords<PlacedWork>& placed,
                   Imported& to);
  void add_layers(const PlaceSums& sums, Imported& to) const;
  [[nodiscard]] bool add_layer(const PlaceSums& sums, std::uint32_t number, LayerCost& layer) const;

  const RangeRules& rules_;
  std::size_t held_bytes_;
  TraceParts parts_;
  PrecisionTally precisions_;
  const ImportOptions& options_;
  std::set<std::string> optimizers_;  ///< Classes whose steps were seen.
  bool step_range_ = false;           ///< There was one.
  bool worked_ = false;               ///< The same of work.
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
  TraceCopies copies_;
  std::int64_t others_ = 0;  ///< Works of processes that were not chosen.
};

}  // namespace shardlab
