#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>

#include "core/device_work.h"
#include "profiler/intervals.h"

namespace shardlab {

/// What someone did on one device, from `first_start_ns` to `last_end_ns`.
struct WorkSum {
  std::int64_t launches = 0;
  Duration busy{};     ///< The union of its work.
  Duration waiting{};  ///< Between two pieces of its work that nobody else's came between.
  Duration gaps{};     ///< Of that, while nothing was copied either.
  std::map<CopyClass, CopyTotals> copies;
  std::int64_t first_start_ns = std::numeric_limits<std::int64_t>::max();
  std::int64_t last_end_ns = std::numeric_limits<std::int64_t>::min();
};

/// Adds up what several did on one device, named by keys: work, which are kernels and sets, and
/// copies. Requires both together in the order of their starts.
template <typename Key, typename Hash = std::hash<Key>>
class WorkSums {
 public:
  void work(const Key& key, const Interval& when) {
    Open& open = at(key, when);
    if (last_ == key && when.start_ns > work_end_ns_) {
      open.sum.waiting += Duration{when.start_ns - work_end_ns_};
      open.sum.gaps += idle_ - idle_before_;
    }
    ++open.sum.launches;
    open.sum.busy += beyond(open.work_end_ns, when);
    all_ += beyond(work_end_ns_, when);
    last_ = key;
    idle_before_ = idle_;
  }

  void copy(const Key& key, const Interval& when, const CopyClass& of, Bytes bytes) {
    Open& open = at(key, when);
    auto [end, fresh] = open.copy_ends_ns.emplace(of, kNever);
    add(open.sum.copies, of, {1, bytes, beyond(end->second, when)});
  }

  /// Calls `take` for every key whose work ended until then: it overlaps nothing that comes later.
  /// A key may come again.
  template <typename Take>
  void put_away(std::int64_t before_ns, const Take& take) {
    std::erase_if(open_, [&](const auto& each) {
      if (each.second.sum.last_end_ns > before_ns) return false;
      take(each.first, each.second.sum);
      return true;
    });
  }

  [[nodiscard]] std::size_t open() const { return open_.size(); }
  [[nodiscard]] Duration all() const { return all_; }  ///< The union of all work.

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();

  struct Open {
    WorkSum sum;
    std::int64_t work_end_ns = kNever;
    std::map<CopyClass, std::int64_t> copy_ends_ns;
  };

  Open& at(const Key& key, const Interval& when) {
    if (end_ns_ != kNever && when.start_ns > end_ns_) idle_ += Duration{when.start_ns - end_ns_};
    end_ns_ = std::max(end_ns_, when.end_ns);
    Open& open = open_[key];
    open.sum.first_start_ns = std::min(open.sum.first_start_ns, when.start_ns);
    open.sum.last_end_ns = std::max(open.sum.last_end_ns, when.end_ns);
    return open;
  }

  /// What of it lies behind `end_ns`, which moves there.
  static Duration beyond(std::int64_t& end_ns, const Interval& when) {
    const std::int64_t fresh = std::max(when.start_ns, end_ns);
    end_ns = std::max(end_ns, when.end_ns);
    return Duration{std::max<std::int64_t>(when.end_ns - fresh, 0)};
  }

  std::unordered_map<Key, Open, Hash> open_;
  std::optional<Key> last_;            ///< Whose work began last.
  std::int64_t work_end_ns_ = kNever;  ///< The latest end so far.
  std::int64_t end_ns_ = kNever;       ///< The same, of copies too.
  Duration idle_{};                    ///< Nothing ran and nothing was copied.
  Duration idle_before_{};             ///< The same when the last work began.
  Duration all_{};
};

}  // namespace shardlab
