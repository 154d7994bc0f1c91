#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "imports/imported.h"
#include "imports/range_rules.h"
#include "profiler/attribution.h"
#include "profiler/copy_cost.h"

namespace shardlab {

/// Something a device did, and the call that launched it. Times are nanoseconds on one clock.
struct TracedWork {
  std::int64_t correlation = 0;  ///< Shared with its launch.
  std::int64_t start_ns = 0, end_ns = 0;
  std::int64_t device = 0;
};

struct TracedLaunch {
  std::int64_t correlation = 0;
  std::int64_t at_ns = 0;
  std::uint32_t thread = 0;
};

/// A named span of a thread of the host.
struct TracedRange {
  std::int64_t start_ns = 0, end_ns = 0;
  std::uint32_t thread = 0;
  std::uint32_t name = 0;  ///< Index into GpuTrace::names().
  RangeRole role = RangeRole::kNone;
};

/// An operator that autograd numbered: its forward, or its backward on whatever thread.
struct NumberedOperator {
  std::int64_t sequence = 0;
  std::int64_t start_ns = 0, end_ns = 0;
  std::uint32_t thread = 0;
};

/// What is kept of a trace of a GPU, whatever its format: at most 40 bytes for each kernel, launch,
/// range of a layer and numbered operator, in any order.
class GpuTrace {
 public:
  /// As many of each kind are kept; more are counted as unused.
  static constexpr std::size_t kMost = std::size_t{1} << 26;

  explicit GpuTrace(const RangeRules& rules) : rules_(rules) {}

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
  /// Sorts what is kept. Throws Error where there is no work or no range of a layer.
  void finish(Imported& to);

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  /// So that a name is looked up without making a string of it.
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };
  struct Known {
    std::uint32_t index = 0;
    RangeRole role = RangeRole::kNone;
  };

  std::uint32_t thread_index(std::uint64_t thread);
  Known known(std::string_view name, RangeSource source);
  template <typename Record>
  void keep(std::vector<Record>& all, const Record& one);
  void refuse_nothing() const;
  void number_by_links();
  void take_copies(Imported& to) const;

  const RangeRules& rules_;
  std::vector<TracedLaunch> launches_;
  std::vector<TracedWork> works_;
  std::vector<TracedRange> ranges_;
  std::vector<NumberedOperator> forwards_, backwards_;
  std::vector<NumberedOperator> link_starts_, link_ends_, unnumbered_;
  std::map<CopyClass, std::vector<CopySample>> copies_;
  std::unordered_map<std::uint64_t, std::uint32_t> threads_;
  std::unordered_map<std::string, Known, NameHash, std::equal_to<>> known_[3];  ///< By source.
  std::vector<std::string> names_;
  std::int64_t too_many_ = 0, empty_copies_ = 0;
};

}  // namespace shardlab
