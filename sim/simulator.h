#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "core/cluster.h"
#include "sched/backend.h"
#include "sched/driver.h"
#include "sched/link.h"
#include "sched/winner_tree.h"
#include "sim/costs.h"
#include "sim/disk.h"
#include "sim/fair_links.h"
#include "sim/host_steps.h"

namespace shardlab {

/// The backend whose clock jumps. A device's lane has at most one activity and a link at most one
/// first copy, so winner trees over their ends are the whole event queue. Links that share parents
/// (FairLinks) tell when their next copy ends. Ties: lanes before links, then by device.
class Simulator final : public Backend {
 public:
  /// Requires: the references outlive the Simulator. The program's dispatch is added in front of
  /// every unit.
  Simulator(const Program& program, const Cluster& cluster, Costs& costs);

  [[nodiscard]] Instant now() const override { return now_; }
  void start_unit(const UnitRun& run) override;
  void start_link(const Transfer& transfer) override;
  void start_lane_copy(const Transfer& transfer) override;
  void wake_at(Instant instant) override {
    wake_ = instant;
    set_alarm();
  }
  [[nodiscard]] bool keeps_items() const override { return disk_.has_value(); }
  void dropped(JobId job, ItemIndex item, DeviceId from) override {
    if (disk_ && from == kNoDevice) disk_->dropped(job, item);
  }
  bool restore(JobId job, std::int64_t minibatches) override;
  [[nodiscard]] DeviceId next_lane() const override { return next_lane_; }
  Lone next_alone() override;
  std::span<const Event> wait() override;

  /// Null without one.
  [[nodiscard]] const Disk* disk() const { return disk_ ? &*disk_ : nullptr; }

 private:
  /// What it does, in the form in which its end is told.
  struct Lane {
    UnitDone unit;
    bool copies = false;  ///< Since unit.from.
    TransferId transfer = 0;
  };
  /// Of the unit that a device computes, where copies slow that.
  struct Pace {
    bool computes = false;
    Duration work{};      ///< All of it, at full speed.
    double left = 0;      ///< Of it at `since`, in nanoseconds.
    double slowness = 1;  ///< From `since` on.
    Instant since{};
    std::array<int, 2> copies{};  ///< In flight, by direction.
  };
  static constexpr std::size_t kNone = SIZE_MAX;
  /// A transfer on its link, or in the queue before it.
  struct Passing {
    LinkDone done;
    Bytes bytes = 0;
    TransferId next = kNoTransfer;  ///< In the queue.
    Direction direction{};
  };
  static constexpr TransferId kNoTransfer = UINT32_MAX;
  /// A device leaves or is back.
  struct Change {
    Instant at{};
    DeviceId device{};
    bool leaves = false;
  };
  /// What a copy between host and device takes.
  struct Way {
    LinkSpec link;
    std::size_t queue = 0;
    bool costs_say = false;  ///< Not the link alone: an engine copies.
    bool plain = false;      ///< The link alone: no disk, no network, no step after it.
  };
  struct Queue {
    Link link;
    TransferId first = kNoTransfer, last = kNoTransfer;
  };
  static void set_end(WinnerTree& ends, std::size_t of, Instant end) {
    ends.set(of, end.time_since_epoch().count());
  }
  /// The first copy of a link ends then.
  void set_link_end(std::size_t link, Instant end) {
    if (apart_ == link) {
      apart_end_ = end.time_since_epoch().count();
    } else {
      set_end(link_ends_, link, end);
    }
  }
  void clear_link_end(std::size_t link) {
    if (apart_ == link) {
      apart_ = kNone;
      apart_end_ = WinnerTree::kAbsent;
    } else {
      link_ends_.clear(link);
    }
  }
  [[nodiscard]] WinnerTree::Key next_link_end() const {
    return std::min(apart_end_, link_ends_.top());
  }
  /// Whose copy ends next: ties go to the lower. Requires: some link's does.
  [[nodiscard]] std::size_t next_link() const {
    const WinnerTree::Key others = link_ends_.top();
    if (apart_end_ < others || (apart_end_ == others && apart_ < link_ends_.winner()))
      return apart_;
    return link_ends_.winner();
  }
  /// It must be woken for what begins now, where nothing else runs.
  [[nodiscard]] bool has_rested(const Lane& lane) const { return now_ > lane.unit.to; }
  void begin_lane(std::size_t device, Instant end) {
    set_end(lane_ends_, device, end);
    if (reported_lane_ == device) reported_lane_ = kNone;
  }
  void set_alarm() {
    alarm_ = next_change_ < changes_.size() ? std::min(wake_, changes_[next_change_].at) : wake_;
    if (disk_) alarm_ = std::min(alarm_, disk_->next());
    if (steps_) alarm_ = std::min(alarm_, steps_->next());
  }
  /// A lane has ended alone; the one after it.
  void foresee(std::size_t reported, const WinnerTree::Entry& second) {
    reported_lane_ = reported;
    next_lane_ = DeviceId{static_cast<std::uint32_t>(second.owner)};
    if (second.key != WinnerTree::kAbsent) __builtin_prefetch(&lanes_[second.owner]);
  }
  void forget_reported() {
    if (reported_lane_ != kNone) lane_ends_.clear(reported_lane_);
    reported_lane_ = kNone;
  }
  [[gnu::noinline]] Lone next_alone_contended();
  const UnitDone* lone_unit(WinnerTree::Key end);
  const LinkDone* lone_apart();
  const LinkDone* lone_copy(WinnerTree::Key end);
  const LinkDone* lone_shared(Instant end);
  [[gnu::noinline]] void ring();
  void lose(DeviceId device);
  void lose_link(std::size_t link);
  void end_lanes(WinnerTree::Key instant);
  void end_of_lane(std::size_t device);
  [[gnu::noinline]] void enter_link(const Transfer& transfer);
  void enter(std::size_t link, const Transfer& transfer, Duration time);
  [[gnu::noinline]] void enter_first(std::size_t link, TransferId transfer);
  [[gnu::noinline]] void grow(TransferId transfer);
  [[nodiscard]] const Way& way(const Transfer& transfer) const {
    return ways_[2 * index(transfer.device) + static_cast<std::size_t>(transfer.direction)];
  }
  [[gnu::noinline]] void use_disk();
  bool begin_passage(std::size_t link);
  [[gnu::noinline]] bool begin_contended(std::size_t link);
  bool end_passage(std::size_t link);
  void end_of_link(std::size_t link);
  [[gnu::noinline]] void advance_fair_links();
  [[gnu::noinline]] void pass(std::size_t device, Direction direction, int change);
  [[gnu::noinline]] void leave_link(std::size_t link);
  [[gnu::noinline]] bool start_step(std::size_t link);
  [[nodiscard]] double slowness(std::size_t device) const;
  void start_pace(std::size_t device, Duration work);
  [[gnu::noinline]] void set_paces();
  void set_pace(std::size_t device);
  [[nodiscard]] Duration slowed(std::size_t device, Duration part);

  const Program& program_;
  const Cluster& cluster_;
  Costs& costs_;
  const bool all_vary_;  ///< See Costs::all_vary().
  Instant now_{};
  Instant wake_ = kNever;
  Instant alarm_ = kNever;       ///< Of the next wake, change, or end at the disk.
  std::vector<Change> changes_;  ///< In order of time.
  std::size_t next_change_ = 0;
  std::vector<Lane> lanes_;
  std::vector<Queue> queues_;     ///< By link_index().
  std::vector<Passing> passing_;  ///< By TransferId.
  std::vector<Way> ways_;         ///< By device, to it and from it.
  bool contended_ = false;        ///< Any of the next four is there.
  std::optional<Disk> disk_;
  std::optional<HostSteps> steps_;       ///< Where some job steps on the host.
  std::optional<FairLinks> fair_links_;  ///< Where a device has a parent.
  std::vector<Pace> paces_;              ///< By device, where one has a factor; else empty.
  std::vector<std::size_t> repaced_;     ///< Devices whose copies in flight have changed.
  /// Two small trees, as most events are ends of units.
  WinnerTree lane_ends_, link_ends_;
  /// A link whose end is not in the tree. Most often several copies follow each other on one link
  /// while none is under way elsewhere; so they cost no walk.
  std::size_t apart_ = kNone;
  WinnerTree::Key apart_end_ = WinnerTree::kAbsent;
  /// A lane that was reported and may have begun anew: only if not, its old end must go.
  std::size_t reported_lane_ = kNone;
  DeviceId next_lane_ = kNoDevice;  ///< After it, unless another begins that ends before.
  std::vector<Event> events_;
  bool ended_together_ = false;  ///< Copies of links that share, now: their ends are in link_ends_.
};

/// Lowered, refused if it cannot fit, driven to its end. `timeline` may be null: metrics only.
/// Memory and copies are left out when no device has a budget, links are not paced and memory
/// copies cost nothing. `tuner`, if given, stops jobs early.
Outcome simulate(const Program& program, const Cluster& cluster, Policy& policy, Costs& costs,
                 Timeline* timeline, Tuner* tuner = nullptr);

}  // namespace shardlab
