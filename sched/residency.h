#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "core/cluster.h"
#include "sched/backend.h"
#include "sched/program.h"

namespace shardlab {

/// What sits in which memory, and the rules of promotion, eviction and write-back. One for
/// simulator and executor.
///
/// Memory is reserved before anything moves and never over-committed: a claim reserves all that its
/// unit needs on the device at once, or nothing. What is kept only for convenience can always go:
/// clean copies are dropped, dirty ones demoted first, least recently used first. Nothing here
/// knows time.
///
/// Shared items (Item::shared) have one state and at most one copy per device, whoever brought it:
/// it may go like any other while no held job that reads it there is admitted.
class Residency {
 public:
  Residency(const Program& program, const Cluster& cluster);

  /// Sets the peak of a held job aside. Returns false, setting nothing aside, while there is no
  /// room; demotions that make room are asked for.
  bool admit(JobId job, std::span<const DeviceId> devices, std::span<const Bytes> peaks);

  /// Reserves what `unit` needs on `device` and asks for the promotions that can start. Returns
  /// false, reserving nothing, while there is no room; demotions that make room are asked for.
  bool reserve(JobId job, const Unit& unit, DeviceId device);
  /// Gives a reservation back before the unit began.
  void release(JobId job, const Unit& unit, DeviceId device);
  /// The unit began and came to nothing: nothing has changed, the reservation is given back.
  void abort(JobId job, const Unit& unit, DeviceId device);
  /// All inputs are on the device and nothing that the unit changes is still being written back.
  [[nodiscard]] bool arrived(JobId job, const Unit& unit, DeviceId device) const;
  /// The unit starts: other copies of what it writes are void.
  void begin(JobId job, const Unit& unit, DeviceId device);
  /// The unit is done: what it wrote and created is dirty here, what it consumed is gone
  /// everywhere.
  void commit(JobId job, const Unit& unit, DeviceId device);
  /// Asks for the write-backs that follow `unit`: all that is dirty and neither bound to this
  /// device nor read by `next`, the job's next unit, if that is claimed here (else null). `keeps`:
  /// only what another device waits for; the rest is written back when one asks for it, when its
  /// room is needed, or at the job's end.
  void settle(JobId job, const Unit& unit, DeviceId device, const Unit* next, bool keeps = false);

  /// Asks for the write-back of all of a job that is only on devices.
  void flush(JobId job);
  /// Parameters and state of the job are in host memory.
  [[nodiscard]] bool flushed(JobId job) const;
  /// Forgets a job: drops its copies; what is in flight is dropped when it ends. Frees what was
  /// held for it.
  void forget(JobId job);
  /// The same of a flushed job that may come again. Returns false while something of it is in
  /// flight: then it is called again.
  bool vacate(JobId job);

  /// A transfer that was asked for is done.
  void finished(const Transfer& transfer);

  /// Transfers asked for since the last call; `id` and `minibatch` are the caller's to fill in.
  std::vector<Transfer> take_requests() { return std::exchange(requests_, {}); }
  [[nodiscard]] bool has_requests() const { return !requests_.empty(); }
  /// Copies dropped since the last call.
  struct Drop {
    JobId job{};
    ItemIndex item = 0;
    DeviceId device{};  ///< kNoDevice: host memory.
  };
  std::vector<Drop>& drops() { return drops_; }
  /// Devices where room may have appeared since the last call.
  std::vector<DeviceId>& roomier() { return roomier_; }

  /// What it is worth that a device keeps a copy; see Policy::worth().
  using Worth = std::function<std::int64_t(JobId job, ItemIndex item, DeviceId device)>;
  /// From now on what is worth least goes first, of equals what was used longest ago.
  void order_victims(Worth worth) { worth_ = std::move(worth); }
  /// Bytes of what `unit` reads that are on the device or on their way there.
  [[nodiscard]] Bytes present(JobId job, const Unit& unit, DeviceId device) const;

  [[nodiscard]] Bytes used(DeviceId device) const { return devices_[index(device)].used; }
  [[nodiscard]] Bytes peak(DeviceId device) const { return devices_[index(device)].peak; }
  [[nodiscard]] Bytes host_peak() const { return host_peak_; }

 private:
  using CopyIndex = std::uint32_t;
  static constexpr CopyIndex kNone = UINT32_MAX;

  /// Reserved: room is set aside, nothing is on its way yet.
  enum class Stage : std::uint8_t { kReserved, kArriving, kThere };

  struct Copy {
    JobId job{};
    ItemIndex item = 0;
    DeviceId device{};
    CopyIndex sibling = kNone;               ///< Next copy of the same item.
    CopyIndex older = kNone, newer = kNone;  ///< In the device's order of use, while it may go.
    std::uint32_t pins = 0;                  ///< Claims, transfers and held jobs that need it.
    std::uint32_t holders = 0;               ///< Of them, held jobs.
    Stage stage = Stage::kReserved;
    bool dirty = false;
    bool leaving = false;  ///< Being demoted.
    bool sending = false;  ///< On its way to another device.
    bool stale = false;    ///< To be dropped when its transfer ends.
    bool aside = false;    ///< Its room is part of what its held job has set aside.
  };
  struct ItemState {
    CopyIndex first = kNone;
    bool host = false;       ///< The version in host memory is current.
    bool writing = false;    ///< A unit is changing it.
    bool forgotten = false;  ///< Its job has ended.
  };
  struct Device {
    Bytes budget = 0, used = 0, peak = 0;
    Bytes headroom = 0;   ///< Left free by held jobs.
    Bytes set_aside = 0;  ///< For held jobs.
    Bytes clean = 0;      ///< Of copies that may be dropped at once.
    Bytes leaving = 0;    ///< Of copies being demoted.
    CopyIndex oldest = kNone, newest = kNone;
  };

  [[nodiscard]] const Item& item(JobId job, ItemIndex i) const {
    return program_.jobs[index(job)].items[i];
  }
  [[nodiscard]] bool held(JobId job) const { return program_.jobs[index(job)].held; }
  [[nodiscard]] std::size_t place(JobId job, ItemIndex i) const {
    const std::size_t own = first_item_[index(job)] + i;
    return places_.empty() ? own : places_[own];
  }
  ItemState& state(JobId job, ItemIndex i) { return items_[place(job, i)]; }
  [[nodiscard]] const ItemState& state(JobId job, ItemIndex i) const {
    return items_[place(job, i)];
  }
  [[nodiscard]] CopyIndex find(JobId job, ItemIndex i, DeviceId device) const;

  /// Some copy of it is on its way, from the host or to it.
  [[nodiscard]] bool moving(JobId job, ItemIndex i) const;
  /// Some device has set its room aside and waits for it.
  [[nodiscard]] bool awaited(JobId job, ItemIndex i) const;
  CopyIndex add(JobId job, ItemIndex i, DeviceId device);
  void drop(CopyIndex copy);
  void drop_others(JobId job, ItemIndex i, DeviceId keep);
  void drop_host(JobId job, ItemIndex i);
  void pin(CopyIndex copy);
  void unpin(CopyIndex copy);
  void fetch(CopyIndex copy);
  void promote(CopyIndex copy);
  void send(CopyIndex from, CopyIndex to);
  void push(CopyIndex copy, DeviceId to);
  void arrive_from_device(CopyIndex copy, DeviceId source);
  void demote(CopyIndex copy);
  bool make_room(DeviceId device, Bytes need);
  bool make_room_by_worth(DeviceId device, Bytes need);
  void charge(DeviceId device, Bytes bytes);
  struct Admission;
  Admission wanted_by(JobId job, std::span<const DeviceId> devices, std::span<const Bytes> peaks);
  void hold(JobId job, ItemIndex i, DeviceId device);
  void let_go(JobId job);
  [[nodiscard]] bool has_copies(JobId job) const;
  void free_set_aside(JobId job);
  [[nodiscard]] bool evictable(const Copy& copy) const;
  void link(CopyIndex copy);
  void unlink(CopyIndex copy);

  const Program& program_;
  const Cluster& cluster_;
  std::vector<std::size_t> first_item_;
  std::vector<std::size_t> places_;  ///< In `items_`, by job and item; empty: each its own.
  std::vector<ItemState> items_;
  std::vector<Copy> copies_;
  std::vector<CopyIndex> unused_;
  std::vector<Device> devices_;
  std::vector<std::vector<std::pair<DeviceId, Bytes>>> set_aside_;  ///< Per held job.
  std::vector<std::vector<CopyIndex>> held_;  ///< Per held job: of shared items.
  std::vector<Transfer> requests_;
  std::vector<Drop> drops_;
  std::vector<DeviceId> roomier_;
  Bytes host_used_ = 0, host_peak_ = 0;
  Worth worth_;
  bool kept_ = false;  ///< Something, after its unit; see settle().
};

}  // namespace shardlab
