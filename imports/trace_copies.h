#pragma once

#include <cstddef>
#include <cstdint>

#include "imports/imported.h"
#include "imports/sorted_records.h"
#include "imports/trace_records.h"

namespace shardlab {

/// The copies between host and device of a trace.
class TraceCopies {
 public:
  explicit TraceCopies(std::size_t held_bytes) : copies_(held_bytes) {}

  void add(CopyClass of, Bytes bytes, Duration time);
  /// A line through those of page-locked memory, else through those of pageable memory, for each
  /// direction; what was not used.
  void finish(Imported& to);

 private:
  SortedRecords<TracedCopy> copies_;
  std::int64_t empty_copies_ = 0;
};

}  // namespace shardlab
