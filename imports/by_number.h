#pragma once

#include <cstdint>

#include "imports/sorted_records.h"

namespace shardlab {

/// Joins sorted records to others by a number of theirs, for numbers that ascend.
template <typename Record, std::int64_t Record::*Number>
class ByNumber {
 public:
  explicit ByNumber(SortedRecords<Record>& records) : all_(records.read()), next_(all_.next()) {}

  /// Calls `visit` for each record of that number; none where it was asked for before.
  template <typename Visit>
  void visit(std::int64_t number, const Visit& visit) {
    for (; next_ != nullptr && next_->*Number <= number; next_ = all_.next()) {
      if (next_->*Number == number) visit(*next_);
    }
  }

 private:
  typename SortedRecords<Record>::Reader all_;
  const Record* next_;
};

}  // namespace shardlab
