#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "imports/spill_file.h"

namespace shardlab {

/// Records of any number, read in the order of `Record::order()`, those of equal order as they
/// came. At most so many bytes of them are in memory; what is more lies in a temporary file, in
/// sorted runs that are merged as they are read.
template <typename Record>
class SortedRecords {
  static_assert(std::is_trivially_copyable_v<Record>);

 public:
  explicit SortedRecords(std::size_t held_bytes)
      : most_(std::max<std::size_t>(held_bytes / sizeof(Record), 1)) {}

  void add(const Record& one) {
    assert(!sorted_);
    if (held_.size() == most_) spill();
    if (held_.size() == held_.capacity()) {
      held_.reserve(std::min(most_, std::max<std::size_t>(2 * held_.size(), 16)));
    }
    held_.push_back(one);
    ++size_;
  }
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// How many are in the file: less than 64 of each level, so that few are open to be merged.
  [[nodiscard]] std::size_t runs() const { return runs_.size(); }

  /// All of them, once. The records must outlive it.
  class Reader {
   public:
    /// The next one, valid until the next call; null behind the last.
    const Record* next();

   private:
    friend class SortedRecords;
    struct Cursor {
      const Record* at = nullptr;
      const Record* end = nullptr;
      std::int64_t file_at = 0, file_end = 0;  ///< What of the run is not yet in `piece`.
      std::vector<Record> piece;
    };

    explicit Reader(const SpillFile& file) : file_(file) {}
    void begin();
    bool advance(Cursor& cursor);
    /// Whether the front of cursor `a` comes after that of `b`; equal ones in the order of runs.
    [[nodiscard]] bool after(std::size_t a, std::size_t b) const;
    void sink();

    const SpillFile& file_;
    std::vector<Cursor> cursors_;    ///< In the order in which their records came.
    std::vector<std::size_t> heap_;  ///< Cursors with something left, the first in order on top.
    bool taken_ = false;             ///< The top's front was given out.
  };

  /// Nothing can be added any more. May be called again, to read from the beginning.
  Reader read() {
    if (!sorted_) sort();
    sorted_ = true;
    Reader reader = reader_of(0);
    reader.cursors_.push_back({held_.data(), held_.data() + held_.size(), 0, 0, {}});
    reader.begin();
    return reader;
  }

 private:
  /// Sorted records in the file.
  struct Run {
    std::int64_t begin = 0, end = 0;
    int level = 0;  ///< Of so many merges.
  };
  static constexpr std::size_t kFanIn = 64;
  static constexpr std::size_t kPiece = std::max<std::size_t>((16 << 10) / sizeof(Record), 1);

  void sort() {
    const auto less = [](const Record& a, const Record& b) { return a.order() < b.order(); };
    if (!std::is_sorted(held_.begin(), held_.end(), less)) {
      std::stable_sort(held_.begin(), held_.end(), less);
    }
  }

  void spill() {
    sort();
    write_run(held_, 0);
    held_.clear();
    while (runs_.size() >= kFanIn && runs_[runs_.size() - kFanIn].level == runs_.back().level) {
      merge_last();
    }
  }

  void write_run(const std::vector<Record>& records, int level) {
    const std::size_t bytes = records.size() * sizeof(Record);
    const std::int64_t begin = file_.append(records.data(), bytes);
    runs_.push_back({begin, begin + static_cast<std::int64_t>(bytes), level});
  }

  /// Makes one run of the last of one level, so that few are open at once when all are read.
  void merge_last() {
    const std::size_t first = runs_.size() - kFanIn;
    Reader reader = reader_of(first);
    reader.begin();
    Run merged{-1, 0, runs_.back().level + 1};
    const auto write = [&] {
      const std::int64_t at = file_.append(held_.data(), held_.size() * sizeof(Record));
      if (merged.begin < 0) merged.begin = at;
      merged.end = at + static_cast<std::int64_t>(held_.size() * sizeof(Record));
      held_.clear();
    };
    while (const Record* record = reader.next()) {
      held_.push_back(*record);
      if (held_.size() == most_) write();
    }
    if (!held_.empty()) write();
    runs_.resize(first);
    runs_.push_back(merged);
  }

  /// Of the runs from `first` on.
  Reader reader_of(std::size_t first) const {
    Reader reader(file_);
    for (std::size_t r = first; r < runs_.size(); ++r) {
      reader.cursors_.push_back({nullptr, nullptr, runs_[r].begin, runs_[r].end, {}});
    }
    return reader;
  }

  std::size_t most_;
  std::vector<Record> held_;
  std::vector<Run> runs_;
  SpillFile file_;
  std::int64_t size_ = 0;
  bool sorted_ = false;
};

template <typename Record>
void SortedRecords<Record>::Reader::begin() {
  for (std::size_t c = 0; c < cursors_.size(); ++c) {
    Cursor& cursor = cursors_[c];
    if (cursor.at != cursor.end || advance(cursor)) heap_.push_back(c);
  }
  std::make_heap(heap_.begin(), heap_.end(), [&](auto a, auto b) { return after(a, b); });
}

template <typename Record>
const Record* SortedRecords<Record>::Reader::next() {
  if (taken_) {
    Cursor& top = cursors_[heap_.front()];
    if (++top.at == top.end && !advance(top)) {
      heap_.front() = heap_.back();
      heap_.pop_back();
    }
    sink();
  }
  taken_ = !heap_.empty();
  return taken_ ? cursors_[heap_.front()].at : nullptr;
}

/// Reads on in a run whose piece is used up; false at its end.
template <typename Record>
bool SortedRecords<Record>::Reader::advance(Cursor& cursor) {
  const auto left = static_cast<std::size_t>(cursor.file_end - cursor.file_at) / sizeof(Record);
  if (left == 0) return false;
  cursor.piece.resize(std::min(left, kPiece));
  const std::size_t bytes = cursor.piece.size() * sizeof(Record);
  file_.read(cursor.file_at, cursor.piece.data(), bytes);
  cursor.file_at += static_cast<std::int64_t>(bytes);
  cursor.at = cursor.piece.data();
  cursor.end = cursor.at + cursor.piece.size();
  return true;
}

template <typename Record>
bool SortedRecords<Record>::Reader::after(std::size_t a, std::size_t b) const {
  const auto left = cursors_[a].at->order(), right = cursors_[b].at->order();
  return right < left || (!(left < right) && a > b);
}

/// Moves the top of the heap down to where it belongs.
template <typename Record>
void SortedRecords<Record>::Reader::sink() {
  std::size_t at = 0;
  while (2 * at + 1 < heap_.size()) {
    std::size_t child = 2 * at + 1;
    if (child + 1 < heap_.size() && after(heap_[child], heap_[child + 1])) ++child;
    if (!after(heap_[at], heap_[child])) return;
    std::swap(heap_[at], heap_[child]);
    at = child;
  }
}

}  // namespace shardlab
