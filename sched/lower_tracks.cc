#include "sched/lower_tracks.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "sched/phases.h"
#include "sched/route.h"
#include "sched/stage_order.h"
#include "sched/track_items.h"

namespace shardlab {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;

class TrackLowering {
 public:
  TrackLowering(const JobPlan& plan, const Cluster& cluster, const Profile& profile,
                std::vector<ShardCost> costs)
      : plan_(plan),
        cluster_(cluster),
        profile_(profile),
        items_(plan, std::move(costs)),
        shards_(plan.shards()),
        gathers_(plan.strategy == Strategy::kZeroOffload),
        forward_(passes(), kNone),
        backward_(passes(), kNone) {}

  JobProgram lower() {
    program_.items = items_.all();
    if (gathers_) {
      for (int r = 0; r < plan_.replicas; ++r) add_replica(r);
    } else {
      add_stages();
    }
    join_passes();
    join_replicas();
    program_.held = !gathers_;
    if (program_.held) set_peaks();
    return std::move(program_);
  }

 private:
  [[nodiscard]] std::size_t passes() const {
    return static_cast<std::size_t>(plan_.replicas * plan_.microbatches * plan_.shards());
  }
  /// Where a pass lies in `forward_` and `backward_`.
  [[nodiscard]] std::size_t place(int replica, int microbatch, int shard) const {
    return static_cast<std::size_t>((replica * plan_.microbatches + microbatch) * shards_ + shard);
  }
  [[nodiscard]] const ShardCost& cost(int shard) const { return items_.cost(shard); }
  [[nodiscard]] DeviceId device(int replica, int shard) const {
    return items_.device(replica, shard);
  }
  [[nodiscard]] ItemIndex item(ItemKind kind, int replica, int microbatch, int shard) const {
    return items_.index_of(kind, replica, microbatch, shard);
  }
  [[nodiscard]] int owner(int shard) const { return items_.owner(shard); }

  // Units.

  [[nodiscard]] Unit blank(UnitKind kind, int r, int m, int s) const {
    Unit unit;
    unit.kind = kind;
    unit.shard = s;
    unit.bound = device(r, s);
    unit.microbatch = m;
    unit.replica = r;
    return unit;
  }

  /// With the times of its layers.
  [[nodiscard]] Unit timed(UnitKind kind, int r, int m, int s) const {
    Unit unit = blank(kind, r, m, s);
    const Phases phases = phases_of(kind, s, plan_);
    unit.alone = unit_cost(cost(s).alone, phases, profile_.alone.unit_overhead);
    unit.loaded = unit_cost(cost(s).loaded, phases, profile_.loaded.unit_overhead);
    return unit;
  }

  [[nodiscard]] Unit forward(int r, int m, int s) const {
    Unit unit = timed(UnitKind::kForward, r, m, s);
    unit.workspace = cost(s).forward_workspace + cost(s).tokens;
    read_parameters(unit, r, s);
    if (s > 0) unit.reads.add(item(ItemKind::kActivation, r, m, s - 1));
    if (s > 0 && !cost(s).backward) unit.consumes.add(item(ItemKind::kActivation, r, m, s - 1));
    if (s + 1 < shards_) unit.creates.add(item(ItemKind::kActivation, r, m, s));
    if (!plan_.recomputes(s) && cost(s).backward) unit.creates.add(item(ItemKind::kGraph, r, m, s));
    return unit;
  }

  /// `fused`: with its forward, which then needs no repetition. The first microbatch makes the
  /// weight gradients to which the others add.
  [[nodiscard]] Unit backward(int r, int m, int s, bool fused) const {
    const bool kept = !fused && !plan_.recomputes(s);
    Unit unit = timed(fused ? UnitKind::kFused : UnitKind::kBackward, r, m, s);
    unit.workspace = cost(s).backward_workspace + cost(s).tokens - (kept ? cost(s).graph : 0);
    read_parameters(unit, r, s);
    if (s > 0) take(unit, item(ItemKind::kActivation, r, m, s - 1));
    if (s + 1 < shards_) take(unit, item(ItemKind::kGradient, r, m, s));
    if (kept) take(unit, item(ItemKind::kGraph, r, m, s));
    if (s > 0 && cost(s).backward_below) unit.creates.add(item(ItemKind::kGradient, r, m, s - 1));
    if (!cost(s).steps()) return unit;
    if (sums_gradients(plan_)) {
      // The item, not the unit, holds the sum; a layer's gradients go there as they are made.
      unit.workspace -= cost(s).parameters - cost(s).largest_layer;
      const ItemIndex sum = item(ItemKind::kWeightGradient, r, 0, s);
      if (m == 0) {
        unit.creates.add(sum);
      } else {
        unit.reads.add(sum);
        unit.writes.add(sum);
      }
    } else {
      change(unit, {item(ItemKind::kState, r, 0, s)});
      unit.writes.add(item(ItemKind::kParameters, r, 0, s));
    }
    return unit;
  }

  [[nodiscard]] Unit reduce(int r, int s) const {
    Unit unit = blank(UnitKind::kReduce, r, 0, s);
    std::vector<DeviceId> ring;
    for (int other = 0; other < plan_.replicas; ++other) ring.push_back(device(other, s));
    const Duration time = gathers_ ? reduce_scatter_time(cluster_, ring, cost(s).parameters)
                                   : all_reduce_time(cluster_, ring, cost(s).parameters);
    unit.alone = unit.loaded = {time, {}};
    unit.workspace = reduction_workspace(s);
    const ItemIndex sum = item(ItemKind::kWeightGradient, r, 0, s);
    change(unit, {sum});
    if (gathers_ && owner(s) != r) unit.consumes.add(sum);
    return unit;
  }

  [[nodiscard]] Unit step(int r, int s) const {
    Unit unit = timed(UnitKind::kStep, r, 0, s);
    change(unit, {item(ItemKind::kParameters, r, 0, s), item(ItemKind::kState, r, 0, s)});
    take(unit, item(ItemKind::kWeightGradient, r, 0, s));
    if (gathers_) unit.workspace = reduction_workspace(s);  // It adds up what came.
    return unit;
  }

  /// A piece of the sum, and one that is added to it.
  [[nodiscard]] Bytes reduction_workspace(int s) const {
    return 2 * std::min(kReductionChunk, cost(s).parameters);
  }

  void read_parameters(Unit& unit, int r, int s) const {
    if (cost(s).frozen > 0) unit.reads.add(item(ItemKind::kFrozen, r, 0, s));
    if (cost(s).steps()) unit.reads.add(item(ItemKind::kParameters, r, 0, s));
  }
  static void take(Unit& unit, ItemIndex item) {
    unit.reads.add(item);
    unit.consumes.add(item);
  }
  static void change(Unit& unit, std::initializer_list<ItemIndex> items) {
    for (const ItemIndex each : items) {
      unit.reads.add(each);
      unit.writes.add(each);
    }
  }

  std::uint32_t add(Unit&& unit) {
    program_.units.push_back(std::move(unit));
    return static_cast<std::uint32_t>(program_.units.size() - 1);
  }

  /// What ends a shard's part in the minibatch.
  void add_step(int r, int s) {
    if (!sums_gradients(plan_) || !cost(s).steps()) return;
    if (plan_.replicas > 1) reductions_.push_back(add(reduce(r, s)));
    if (!gathers_) add(step(r, s));
    if (gathers_ && owner(s) == r) steps_.push_back(add(step(r, s)));
  }

  // Tracks.

  void add_stages() {
    const int stages = stage_count(), chunks = shards_ / stages;
    for (int r = 0; r < plan_.replicas; ++r) {
      for (int stage = 0; stage < stages; ++stage) {
        add_stage(r, stage, stage_order(plan_.strategy, stage, stages, plan_.microbatches, chunks));
      }
    }
  }

  void add_stage(int r, int stage, const std::vector<Pass>& order) {
    const auto first = static_cast<std::uint32_t>(program_.units.size());
    const int stages = stage_count();
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Pass& pass = order[i];
      const int s = pass.chunk * stages + stage;
      const std::size_t at = place(r, pass.microbatch, s);
      if (pass.backward) {
        // Fused with its forward, or not at all.
        if (backward_[at] != kNone || !cost(s).backward) continue;
        backward_[at] = add(backward(r, pass.microbatch, s, false));
      } else if (s + 1 == shards_ && i + 1 < order.size() && is_backward_of(order[i + 1], pass)) {
        forward_[at] = backward_[at] = add(backward(r, pass.microbatch, s, true));
      } else {
        forward_[at] = add(forward(r, pass.microbatch, s));
      }
    }
    for (int s = shards_ - stages + stage; s >= 0; s -= stages) add_step(r, s);
    end_track(first);
  }

  static bool is_backward_of(const Pass& pass, const Pass& forward) {
    return pass.backward && pass.chunk == forward.chunk && pass.microbatch == forward.microbatch;
  }

  /// All shards of one replica on its device, as zero_offload runs them.
  void add_replica(int r) {
    const auto first = static_cast<std::uint32_t>(program_.units.size());
    for (int s = 0; s + 1 < shards_; ++s) forward_[place(r, 0, s)] = add(forward(r, 0, s));
    for (int s = shards_ - 1; s >= 0; --s) {
      const std::size_t at = place(r, 0, s);
      if (!cost(s).backward) break;
      backward_[at] = add(backward(r, 0, s, s + 1 == shards_));
      if (s + 1 == shards_) forward_[at] = backward_[at];
      add_step(r, s);
    }
    end_track(first);
  }

  void end_track(std::uint32_t first) {
    program_.tracks.push_back({first, static_cast<std::uint32_t>(program_.units.size()) - first});
  }

  /// Devices of one replica; interleaved deals the shards out over fewer than there are shards.
  [[nodiscard]] int stage_count() const {
    if (plan_.strategy != Strategy::kInterleaved) return shards_;
    int stages = 1;
    while (stages < shards_ && device(0, stages) != device(0, 0)) ++stages;
    for (int r = 0; r < plan_.replicas; ++r) {
      for (int s = 0; s < shards_; ++s) {
        if (shards_ % stages == 0 && device(r, s) == device(r, s % stages)) continue;
        throw Error(fmt::format(
            "interleaved deals shards out to devices in turn: shard {} of {} is not on the device "
            "of shard {}",
            s, shards_, s % stages));
      }
    }
    return stages;
  }

  // Dependencies.

  [[nodiscard]] std::uint32_t track_of(std::uint32_t unit) const {
    std::uint32_t track = 0;
    while (unit >= program_.tracks[track].first + program_.tracks[track].count) ++track;
    return track;
  }
  void wait(std::uint32_t unit, std::uint32_t on, std::uint32_t lag = 0) {
    if (track_of(unit) == track_of(on)) return;  // Its place says so.
    program_.units[unit].after.push_back({on, lag});
  }

  void join_passes() {
    for (int r = 0; r < plan_.replicas; ++r) {
      for (int m = 0; m < plan_.microbatches; ++m) {
        for (int s = 1; s < shards_; ++s) {
          wait(forward_[place(r, m, s)], forward_[place(r, m, s - 1)]);
          if (cost(s - 1).backward) {
            wait(backward_[place(r, m, s - 1)], backward_[place(r, m, s)]);
          } else {  // Or it would run ahead without end, for no backward holds it up.
            const auto& last_reader = cost(s).backward ? backward_ : forward_;
            wait(forward_[place(r, m, s - 1)], last_reader[place(r, m, s)], 1);
          }
        }
      }
    }
  }

  void join_replicas() {
    for (const std::uint32_t unit : reductions_) {
      const int s = program_.units[unit].shard;
      for (int r = 0; r < plan_.replicas; ++r) {
        wait(unit, backward_[place(r, plan_.microbatches - 1, s)]);
      }
    }
    for (const std::uint32_t unit : steps_) {
      const int s = program_.units[unit].shard;
      for (const std::uint32_t reduction : reductions_) {
        if (program_.units[reduction].shard == s) wait(unit, reduction);
      }
      for (int r = 0; r < plan_.replicas; ++r) wait(forward_[place(r, 0, s)], unit, 1);
    }
  }

  // Memory.

  /// Microbatches of which the shard's forward has run and the backward not, at most.
  [[nodiscard]] Bytes live(int r, int s) const {
    Bytes now = 0, most = 0;
    for (const Unit& unit : program_.units) {
      if (unit.replica != r || unit.shard != s) continue;
      if (unit.kind == UnitKind::kForward) ++now;
      most = std::max(most, now + (unit.kind == UnitKind::kFused ? 1 : 0));
      if (unit.kind == UnitKind::kBackward) --now;
    }
    return most;
  }

  /// Parameters, state and the sum of gradients; the graphs of live microbatches; at a boundary the
  /// activations and gradients of as many as the shard below has live, for that may run ahead.
  void set_peaks() {
    program_.peak.assign(cluster_.devices.size(), 0);
    std::vector<Bytes> workspace(program_.peak.size());
    for (const Unit& unit : program_.units) {
      Bytes& most = workspace[index(unit.bound)];
      most = std::max(most, unit.workspace);
    }
    for (int r = 0; r < plan_.replicas; ++r) {
      for (int s = 0; s < shards_; ++s) {
        Bytes& here = program_.peak[index(device(r, s))];
        const bool graphs = !plan_.recomputes(s) && cost(s).backward &&
                            backward_[place(r, 0, s)] != forward_[place(r, 0, s)];
        here += cost(s).frozen + cost(s).parameters + cost(s).state + items_.sum_of_gradients(s) +
                (graphs ? live(r, s) * cost(s).graph : 0);
        if (s + 1 == shards_) continue;
        // An activation, its gradient.
        const Bytes boundary = (cost(s).backward ? 2 : 1) * live(r, s) * cost(s).output;
        here += boundary;
        if (device(r, s + 1) != device(r, s)) program_.peak[index(device(r, s + 1))] += boundary;
      }
    }
    for (std::size_t d = 0; d < workspace.size(); ++d) program_.peak[d] += workspace[d];
  }

  const JobPlan& plan_;
  const Cluster& cluster_;
  const Profile& profile_;
  TrackItems items_;
  int shards_;
  bool gathers_;
  std::vector<std::uint32_t> forward_, backward_;  ///< Units, by place().
  std::vector<std::uint32_t> reductions_, steps_;
  JobProgram program_;
};

}  // namespace

JobProgram lower_tracks(const JobPlan& plan, const Cluster& cluster, const Profile& profile,
                        std::vector<ShardCost> costs) {
  return TrackLowering(plan, cluster, profile, std::move(costs)).lower();
}

}  // namespace shardlab
