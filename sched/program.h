#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/plan.h"
#include "core/profile.h"
#include "core/time.h"
#include "core/timeline.h"

namespace shardlab {

/// Index into JobProgram::items.
using ItemIndex = std::uint32_t;

/// A few indices, stored in place.
class ItemList {
 public:
  void add(ItemIndex item) { items_.at(size_++) = item; }
  [[nodiscard]] const ItemIndex* begin() const { return items_.data(); }
  [[nodiscard]] const ItemIndex* end() const { return items_.data() + size_; }
  [[nodiscard]] bool contains(ItemIndex item) const {
    for (const ItemIndex mine : *this) {
      if (mine == item) return true;
    }
    return false;
  }

 private:
  std::array<ItemIndex, 6> items_{};
  std::uint8_t size_ = 0;
};

/// What one unit takes, by how busy the machine is (see LayerCost).
struct UnitCost {
  Duration total{};      ///< On the compute lane, unit overhead included.
  Duration recompute{};  ///< Part of it that repeats a forward.
};

/// Of one unit on one class of devices.
struct UnitTimes {
  UnitCost alone, loaded;
};

/// A unit of another track that must be done first.
struct Dependency {
  std::uint32_t unit = 0;  ///< Index into JobProgram::units.
  std::uint32_t lag = 0;   ///< Of how many minibatches before: 0 or 1.
};

/// One pass of a shard on one minibatch or microbatch; or a step, or a reduction.
///
/// What computing needs comes first and fills a cache line; what memory needs follows.
struct alignas(64) Unit {
  UnitKind kind{};
  bool leads = false;  ///< Some unit of another track waits for it; see connect().
  std::int32_t shard = 0;
  DeviceId bound = kNoDevice;  ///< kNoDevice: any device.
  std::uint32_t track = 0;     ///< Of its job; see connect().
  UnitCost alone, loaded;
  Duration expected{};  ///< Estimated time.
  /// Beyond items: gradients of parameters, recomputed activations, temporaries.
  Bytes workspace = 0;
  ItemList reads;   ///< Must be on the device before it runs.
  ItemList writes;  ///< Subset of `reads` that it changes.
  ItemList creates;
  ItemList consumes;  ///< Dead afterwards, everywhere.
  std::int32_t microbatch = 0, replica = 0;
  std::vector<Dependency> after;
  std::vector<std::uint32_t> before;  ///< Who waits for it; see connect().
};

/// Units of a job that run in order, minibatch after minibatch, at most one of them at a time.
struct Track {
  std::uint32_t first = 0, count = 0;  ///< Of JobProgram::units.

  /// Of one of its units among those of all minibatches, from 0.
  [[nodiscard]] std::size_t number(std::int64_t minibatch, std::uint32_t unit) const {
    return static_cast<std::size_t>(minibatch) * count + unit - first;
  }
};

/// Something that sits in memories as a whole.
struct Item {
  ItemKind kind{};
  std::int32_t shard = 0;
  Bytes bytes = 0;
  bool lasting = false;  ///< Parameters and state: in host memory before and after the job.
  DeviceId only_reader = kNoDevice;  ///< The one device that reads it, where units are bound.
  std::int32_t microbatch = 0, replica = 0;
  /// Items of one number, below Program::shared_items, are one: equal bytes, never written.
  std::int32_t shared = kNotShared;
  static constexpr std::int32_t kNotShared = -1;
  /// Parameters with which the host steps: a unit that writes them leaves their gradient in their
  /// place. It goes home at once, and the host makes the next version with it.
  bool host_steps = false;
};

struct Program;

/// One job, lowered: what its strategy makes of its model.
struct JobProgram {
  std::string name;
  std::vector<Unit> units;         ///< Of one minibatch, track by track.
  std::vector<Track> tracks = {};  ///< Cover `units`, ascending. Empty: one, of all units.
  std::vector<Item> items;
  std::int64_t minibatches = 0;
  std::int64_t done = 0;  ///< Of them, before this run.
  Instant arrival{};      ///< It is not admitted before.
  int priority = 0;       ///< Its units go before all units of a lower one.
  /// Held from admission to the end (`resident`, or activations kept): nothing of it is ever
  /// evicted.
  bool held = false;
  /// Peak per device of a held job that is bound; for `resident`, one entry: the peak wherever it
  /// goes.
  std::vector<Bytes> peak;
  bool resident = false;  ///< Bound as a whole to one device, chosen at admission.
  /// By shard, what its step on the host takes, where Item::host_steps; empty: no shard has one.
  std::vector<Duration> host_step = {};
  bool expects_alone = false;  ///< See expect().
};

/// Its tracks, if it names none: the one of all units.
inline std::vector<Track> tracks_of(const JobProgram& job) {
  if (!job.tracks.empty()) return job.tracks;
  return {{0, static_cast<std::uint32_t>(job.units.size())}};
}

/// Fills in what follows from `tracks` and Unit::after: Unit::track, `leads` and `before`. Throws
/// Error when units wait for each other in a circle.
void connect(JobProgram& job);

/// Estimated time of a minibatch's units, one after another.
inline Duration minibatch_time(const JobProgram& job) {
  Duration sum{};
  for (const Unit& unit : job.units) sum += unit.expected;
  return sum;
}

/// Fills in Unit::expected; `alone`: by the costs with nothing beside it.
inline void expect(JobProgram& job, bool alone) {
  job.expects_alone = alone;
  for (Unit& unit : job.units) unit.expected = (alone ? unit.alone : unit.loaded).total;
}

/// Parameters and state of all its shards.
inline Bytes lasting_bytes(const JobProgram& job) {
  Bytes bytes = 0;
  for (const Item& item : job.items) bytes += item.lasting ? item.bytes : 0;
  return bytes;
}

/// Of one that Item::host_steps.
inline Duration host_step(const JobProgram& job, ItemIndex item) {
  return job.host_step[static_cast<std::size_t>(job.items[item].shard)];
}

/// Which shards step on the host, by number; empty: none.
std::vector<bool> shards_on_host(const JobProgram& job);

/// Some job steps on the host.
bool steps_on_host(const Program& program);

/// What `unit` of `job` needs on its device at once.
inline Bytes need(const JobProgram& job, const Unit& unit) {
  Bytes bytes = unit.workspace;
  for (const ItemIndex i : unit.reads) bytes += job.items[i].bytes;
  for (const ItemIndex i : unit.creates) bytes += job.items[i].bytes;
  return bytes;
}

/// A lowered plan: all that the Driver needs to know, costs as estimated.
struct Program {
  std::vector<JobProgram> jobs;
  int admit = 0;  ///< Jobs at once; 0: all.
  int slots = 1;  ///< Of devices that do not say themselves, see DeviceSpec::slots().
  std::int32_t shared_items = 0;
  CheckpointRule checkpoints = {};
  /// Cost by the lane of a memory copy, where a device has no copy engine; rate 0: nothing.
  CopyCost copy_alone, copy_loaded;
  /// Before a unit; where nothing else runs and the lane has rested, `dispatch_alone` before a unit
  /// or a copy by it: it must be woken, and is slower at first.
  Duration dispatch_alone{}, dispatch_loaded{};
  /// Which class of devices each one is of; empty: all of class 0, whose times are the units' own.
  std::vector<std::uint16_t> class_of = {};
  /// By class less 1, job and unit.
  std::vector<std::vector<std::vector<UnitTimes>>> times = {};
};

/// What a unit takes on a class of devices.
inline UnitTimes times_of(const Program& program, std::size_t which, JobId job,
                          std::uint32_t unit) {
  if (which > 0) return program.times[which - 1][index(job)][unit];
  const Unit& own = program.jobs[index(job)].units[unit];
  return {own.alone, own.loaded};
}

/// Estimated time of a unit on a device. A policy sees class 0's, wherever it would run.
inline Duration expected_on(const Program& program, JobId job, std::uint32_t unit,
                            DeviceId device) {
  const JobProgram& its = program.jobs[index(job)];
  if (program.class_of.empty()) return its.units[unit].expected;
  const UnitTimes times = times_of(program, program.class_of[index(device)], job, unit);
  return (its.expects_alone ? times.alone : times.loaded).total;
}

/// The least and the most that a unit takes on any class that some device is of.
class TimeRanges {
 public:
  /// Requires: the program to outlive it.
  explicit TimeRanges(const Program& program);

  struct Range {
    Duration least{}, most{};
  };
  [[nodiscard]] Range of(JobId job, std::uint32_t unit) const;

 private:
  const Program& program_;
  std::size_t first_class_;  ///< 1 where no device is of class 0; each other has some.
};

/// Tells, item by item, which are not one that was asked for before.
class FirstSight {
 public:
  explicit FirstSight(const Program& program)
      : seen_(static_cast<std::size_t>(program.shared_items)) {}
  bool operator()(const Item& item) {
    if (item.shared == Item::kNotShared) return true;
    const auto at = static_cast<std::size_t>(item.shared);
    if (seen_[at]) return false;
    seen_[at] = true;
    return true;
  }

 private:
  std::vector<bool> seen_;
};

/// What a reduction adds up at once, and has twice.
constexpr Bytes kReductionChunk = Bytes{256} << 10;

/// Estimated time of a track's units in one minibatch.
inline Duration track_time(const JobProgram& job, const Track& track) {
  Duration sum{};
  for (std::uint32_t u = 0; u < track.count; ++u) sum += job.units[track.first + u].expected;
  return sum;
}

inline std::size_t track_count(const Program& program) {
  std::size_t count = 0;
  for (const JobProgram& job : program.jobs) count += job.tracks.empty() ? 1 : job.tracks.size();
  return count;
}

/// The position of an item of this kind in JobProgram::items of a job with `shards` shards whose
/// minibatches are chains (spill, resident, model_parallel); kind by kind, no weight gradients.
constexpr ItemIndex item_index(ItemKind kind, int shard, int shards) {
  return static_cast<ItemIndex>(static_cast<int>(kind) * shards + shard);
}

}  // namespace shardlab
