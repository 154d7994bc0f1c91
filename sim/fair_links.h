#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/cluster.h"
#include "core/timeline.h"
#include "sched/winner_tree.h"

namespace shardlab {

/// Copies over links that pass through switches. Each link has at most one copy in flight; what is
/// queued before it is the caller's. A copy's latency comes first, during which it uses no
/// bandwidth; then it shares.
///
/// Rates are max-min fair: all rise together, and a copy stops rising at the rate of its own link
/// or when a switch on its way is full. Links of one rate and one parent therefore always copy
/// equally fast. Such a *kind* has one clock, of the work done per copy, so when the set of copies
/// changes, kinds are touched and not copies, and only those of the same *group*: below one
/// outermost switch, each direction alone unless a switch limits both together.
///
/// Exactness: work is what a copy takes alone on its link, in nanoseconds (bytes, where the link
/// itself is not paced). Work done changes only when the copies of the group change; ends round up
/// to the next nanosecond. A copy that is never slowed takes exactly what Link says.
class FairLinks {
 public:
  struct Copy {
    std::uint32_t link = 0;  ///< The caller's name for it.
    DeviceId device{};
    Direction direction{};
    Bytes bytes = 0;
    Duration time{};  ///< Alone on its link, latency included: what Link says, or else by noise.
  };

  explicit FairLinks(const Cluster& cluster);

  /// A copy enters its link at `now`. Returns false where it shares nothing: it takes its time.
  bool begin(const Copy& copy, Instant now);
  /// A copy that entered, and has not ended, is taken out.
  void cancel(std::uint32_t link, DeviceId device, Direction direction, Instant now);
  /// When a copy ends next, if that is not after `limit`; then the clock may go on to `limit`.
  [[nodiscard]] Instant next(Instant limit);
  /// Moves to `now`, which is next(). Returns the links whose copies ended, until the next call.
  std::span<const std::uint32_t> advance(Instant now);

 private:
  static constexpr double kNotLimited = std::numeric_limits<double>::infinity();

  /// A copy after its latency.
  struct Share {
    double mark = 0;      ///< What the clock of its kind says when it ends.
    double rounding = 0;  ///< Part of it that rounds a time alone up; 0 once it was slowed.
    std::uint32_t link = 0;
  };
  /// A copy during its latency.
  struct Waiting {
    Instant until{};
    std::uint32_t kind = 0;
    Share copy;  ///< Its mark is its work, rounded up to whole nanoseconds.
  };
  /// Orders heaps: what is first in front, ties by link.
  struct Later {
    bool operator()(const Share& a, const Share& b) const {
      return a.mark > b.mark || (a.mark == b.mark && a.link > b.link);
    }
    bool operator()(const Waiting& a, const Waiting& b) const {
      return a.until > b.until || (a.until == b.until && a.copy.link > b.copy.link);
    }
  };
  /// Links of the same rate and parent, one direction.
  struct Kind {
    Duration latency{};
    std::vector<std::size_t> limits;  ///< On its way.
    double bytes_per_second = 0;      ///< Of the link; infinite where it is not paced.
    double per_work = 0;              ///< Bytes per second that do one unit of work a nanosecond.
    double narrowest = 0;             ///< Nanoseconds per work if one copy has all of its way.
    double done = 0;                  ///< The clock when the group changed last.
    double slowness = 1;              ///< Nanoseconds per work since then; 1: nothing slows.
    std::vector<Share> copies;        ///< A heap.
    Instant end = kNever;             ///< Of the first.
    bool open = false;                ///< While filling: its rate still rises.

    [[nodiscard]] int count() const { return static_cast<int>(copies.size()); }
  };
  /// One bandwidth of one switch.
  struct Limit {
    double bytes_per_second = 0;
    // While filling: what is left, for how many copies whose rate still rises.
    double left = 0;
    int open = 0;
  };
  struct Group {
    std::vector<Kind> kinds;
    std::vector<std::size_t> slowest_first;  ///< Kinds.
    std::vector<Limit> limits;
    std::vector<Waiting> waiting;  ///< A heap.
    Instant changed{};
    bool stale = false;
  };
  struct Level {
    double bytes_per_second = 0;
    std::size_t limit = 0;
  };
  struct Place {
    std::size_t group = 0, kind = 0;
  };

  using Way = std::vector<std::size_t>;       ///< Limits of a group.
  using Directed = std::vector<std::size_t>;  ///< By device or switch, and direction.
  static std::size_t directed(std::size_t of, Direction direction) {
    return 2 * of + (direction == Direction::kDemote ? 1 : 0);
  }
  Directed add_groups(const std::vector<SwitchSpec>& switches,
                      const std::vector<std::size_t>& outer);
  std::vector<Way> add_limits(const std::vector<SwitchSpec>& switches,
                              const std::vector<std::size_t>& outer, const Directed& group_of);
  void place(std::size_t which, const LinkSpec& link, const Way& way);

  void change(std::size_t which);
  void join(std::size_t which, std::size_t kind, const Share& copy);
  void join_first(std::size_t which);
  void end_due(std::size_t which);
  void schedule_join(std::size_t which);
  void settle();
  static void fill_alone(Kind& kind);
  [[gnu::noinline]] static void fill(Group& group);
  static Level tightest_limit(const Group& group);
  static void give(Group& group, Kind& kind, double bytes_per_second);
  static void set_slowness(Kind& kind, double slowness);
  static void find_end(Kind& kind, Instant now);

  std::vector<Group> groups_;
  std::vector<Place> places_;  ///< By device and direction.
  std::vector<std::size_t> stale_;
  WinnerTree joins_, ends_;  ///< By group.
  std::vector<std::uint32_t> passed_;
  Instant now_{};
};

}  // namespace shardlab
