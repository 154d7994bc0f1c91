#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "imports/range_names.h"
#include "imports/trace_records.h"

namespace shardlab {

/// The minibatches of a trace, told apart by ranges, else by the ends of optimizer steps, else all
/// one.
class TraceSteps {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  /// Later ones are counted and left out: 16 bytes of each are held.
  static constexpr std::size_t kMost = std::size_t{1} << 22;

  void range(std::int64_t start_ns, std::int64_t end_ns);
  void optimizer_end(std::int64_t at_ns);
  void finish();

  /// All of these require finish().
  [[nodiscard]] std::uint32_t of(std::int64_t at_ns) const;
  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(spans_.size()); }
  [[nodiscard]] const std::string& method() const { return method_; }
  [[nodiscard]] std::int64_t left_out() const { return left_out_; }

 private:
  std::vector<std::pair<std::int64_t, std::int64_t>> spans_;  ///< By start.
  std::vector<std::int64_t> optimizer_ends_;
  std::int64_t left_out_ = 0;
  std::string method_;
};

/// The layers among ranges, in the order of their first forward.
class TraceLayers {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::size_t kMost = 1 << 16;

  /// A range that makes layers. Of operators of one name, the next of a minibatch has the next
  /// occurrence. Throws Error where there are more than kMost layers.
  void see(const TracedRange& range);
  /// Numbers the layers. Leaves annotations out where modules are named.
  void finish(const std::vector<RangeNames::Name>& names);

  /// Of any range, after finish(); kNone where it is no layer.
  [[nodiscard]] std::uint32_t of(const TracedRange& range) const {
    if (range.name >= seen_.size() || range.occurrence >= seen_[range.name].size()) return kNone;
    return seen_[range.name][range.occurrence].layer;
  }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }

 private:
  /// The first of its ranges: start, minus the end, and how many layers were seen before.
  using First = std::tuple<std::int64_t, std::int64_t, std::size_t>;
  struct Seen {
    First first;
    std::uint32_t layer = kNone;
  };

  std::vector<std::vector<Seen>> seen_;  ///< By name and occurrence.
  std::size_t count_ = 0;
  std::vector<std::string> names_;
};

}  // namespace shardlab
