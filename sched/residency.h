#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "core/cluster.h"
#include "sched/backend.h"
#include "sched/program.h"
#include "sched/residency_state.h"
#include "sched/unit_uses.h"

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
  /// `notes_drops` false: nobody asks for drops().
  Residency(const Program& program, const Cluster& cluster, bool notes_drops = true);
  Residency(const Residency&) = delete;  // Copies of items name each other by address.

  /// Sets the peak of a held job aside. Returns false, setting nothing aside, while there is no
  /// room; demotions that make room are asked for.
  bool admit(JobId job, std::span<const DeviceId> devices, std::span<const Bytes> peaks);

  /// A claim's room on a device, from reserve() to release(), abort() or commit().
  using Reservation = std::uint32_t;
  static constexpr Reservation kNoRoom = UINT32_MAX;

  /// A unit that will soon be reserved for: what is known of what it needs is fetched meanwhile.
  void foresee(JobId job, std::uint32_t unit) const {
    for (const ItemUse& use : uses_.of(job, unit).needed) __builtin_prefetch(&items_[use.place]);
  }

  /// Reserves what a unit of the job needs on `device` and asks for the promotions that can start.
  /// Returns kNoRoom, reserving nothing, while there is none; demotions that make room are asked
  /// for.
  [[gnu::noinline]] Reservation reserve(JobId job, std::uint32_t unit, DeviceId device);
  /// Gives a reservation back before the unit began.
  [[gnu::noinline]] void release(Reservation claim);
  /// The unit began and came to nothing: nothing has changed, the reservation is given back.
  void abort(Reservation claim);
  /// All inputs are on the device and nothing that the unit changes is still being written back.
  [[nodiscard, gnu::noinline]] bool arrived(Reservation claim) const;
  /// The unit starts: other copies of what it writes are void.
  void begin(Reservation claim) {
    if (claims_[claim].uses.writes) begin_writing(claim);
  }
  /// The unit is done: what it wrote and created is dirty here, what it consumed is gone
  /// everywhere. Returns whether any of it is dirty here: else settle() has nothing to do unless it
  /// `keeps`.
  [[gnu::noinline]] bool commit(Reservation claim);
  /// Asks for the write-backs that follow a unit that was committed: all that is dirty and neither
  /// bound to this device nor read by the job's `next` unit, if that is claimed here (else
  /// kNoUnit). `keeps`: only what another device waits for; the rest is written back when one asks
  /// for it, when its room is needed, or at the job's end.
  [[gnu::noinline]] void settle(JobId job, std::uint32_t unit, DeviceId device, std::uint32_t next,
                                bool keeps = false);
  static constexpr std::uint32_t kNoUnit = UINT32_MAX;

  /// Asks for the write-back of all of a job that is only on devices.
  [[gnu::noinline]] void flush(JobId job);
  /// Parameters and state of the job are in host memory.
  [[nodiscard]] bool flushed(JobId job) const;
  /// Forgets a job: drops its copies; what is in flight is dropped when it ends. Frees what was
  /// held for it.
  [[gnu::noinline]] void forget(JobId job);
  /// The same of a flushed job that may come again. Returns false while something of it is in
  /// flight: then it is called again.
  bool vacate(JobId job);

  // What happens when a device is lost; see residency_devices.cc.
  /// A claim there is no more; `began`: its unit ran.
  void interrupt(Reservation claim, bool began);
  struct Loss {
    std::vector<JobId> jobs;       ///< Whose newest version of something was there or on its way.
    std::size_t transfers = 0;     ///< That had been started and will not end.
    std::vector<JobId> forgotten;  ///< Jobs that waited for one of those.
  };
  /// All copies there are gone, and what was moving to the host, from it, or from there to others.
  Loss lose(DeviceId device);
  /// Of a vacated job: all that lasts is in host memory again.
  void restore(JobId job);
  /// Of a failed job: what was lost is not waited for.
  void give_up(JobId job);
  /// Where units are bound has changed: what held jobs leave free. Returns where they leave too
  /// little.
  std::vector<DeviceId> set_headroom();
  [[nodiscard]] Bytes left_free(DeviceId device) const { return devices_[index(device)].headroom; }

  /// Makes all go from the device that can: clean copies at once, dirty ones by demotion.
  void evict(DeviceId device);
  /// Something is being demoted from the device.
  [[nodiscard]] bool leaving(DeviceId device) const { return devices_[index(device)].leaving > 0; }

  /// Transfers asked for since they were last cleared.
  std::vector<TransferId>& requests() { return requests_; }
  /// One that was asked for, until it is finished; `minibatch` and `loaded` are the caller's to
  /// fill in. Valid until the next call.
  Transfer& transfer(TransferId id) { return by_id_[id]->transfer; }
  /// A transfer that was asked for is done.
  void finished(TransferId id);

  /// Copies dropped since they were last cleared.
  struct Drop {
    JobId job{};
    ItemIndex item = 0;
    DeviceId device{};  ///< kNoDevice: host memory.
  };
  std::vector<Drop>& drops() { return drops_; }
  /// There are requests, drops, or devices with more room for what found none. Asked after each of
  /// the many copies that bring nothing about.
  [[nodiscard]] bool stirred() const { return asks_ || frees_; }
  /// The last two.
  [[nodiscard]] bool frees() const { return frees_; }
  void requests_taken() {
    requests_.clear();
    asks_ = false;
  }
  /// Devices where room may have appeared, since the last call, for what was refused.
  template <typename Visit>
  void take_roomier(Visit&& visit) {
    for (const DeviceId device : roomier_) {
      devices_[index(device)].roomier = false;
      visit(device);
    }
    roomier_.clear();
    frees_ = !drops_.empty();
  }

  /// What it is worth that a device keeps a copy; see Policy::worth().
  using Worth = std::function<std::int64_t(JobId job, ItemIndex item, DeviceId device)>;
  using Gone = std::function<void(JobId job, ItemIndex item, DeviceId device)>;
  /// From now on what is worth least goes first, of equals what was used longest ago; `gone` hears
  /// of each.
  void order_victims(Worth worth, Gone gone) {
    worth_ = std::move(worth);
    gone_ = std::move(gone);
  }
  /// Bytes of what the unit reads that are on the device or on their way there.
  [[nodiscard]] Bytes present(JobId job, std::uint32_t unit, DeviceId device) const;
  /// Adds the devices that hold, await or have set room aside for something of it.
  void add_holders(JobId job, std::uint32_t unit, std::vector<DeviceId>& devices) const;
  /// Transfers that were asked for and are not finished: towards the device, or from it for
  /// Direction::kPeer.
  struct InFlight {
    std::size_t transfers = 0;
    Bytes bytes = 0;
  };
  [[nodiscard]] InFlight in_flight(DeviceId device, Direction direction) const;

  [[nodiscard]] Bytes used(DeviceId device) const { return devices_[index(device)].used; }
  [[nodiscard]] Bytes peak(DeviceId device) const { return devices_[index(device)].peak; }
  [[nodiscard]] Bytes host_peak() const { return host_peak_; }

 private:
  using Copy = residency::Copy;
  using ItemState = residency::ItemState;
  using Device = residency::Device;
  using Stage = Copy::Stage;

  /// A reservation: the copies of what the unit needs, which are pinned.
  struct Claimed {
    UnitUses uses;
    JobId job{};
    DeviceId device{};
    std::array<Copy*, 12> copies{};
  };

  [[nodiscard]] const Item& item(JobId job, ItemIndex i) const {
    return program_.jobs[index(job)].items[i];
  }
  [[nodiscard]] bool held(JobId job) const { return program_.jobs[index(job)].held; }
  ItemState& state(JobId job, ItemIndex i) { return items_[places_.of(job, i)]; }
  [[nodiscard]] const ItemState& state(JobId job, ItemIndex i) const {
    return items_[places_.of(job, i)];
  }
  [[nodiscard]] Copy* find(std::uint32_t place, DeviceId device) const {
    Copy* copy = items_[place].first;
    while (copy != nullptr && copy->transfer.device != device) copy = copy->sibling;
    return copy;
  }

  [[gnu::noinline]] void begin_writing(Reservation claim);
  Reservation new_reservation(JobId job, std::uint32_t unit, DeviceId device);
  bool find_room(const UnitUses& uses, Claimed& claimed);
  Copy* add(JobId job, ItemIndex i, DeviceId device) {
    return add(job, i, places_.of(job, i), held(job), device);
  }
  Copy* add(JobId job, ItemIndex i, std::uint32_t place, bool held, DeviceId device);
  void drop(Copy* copy);
  void remove(Copy* copy);
  void drop_others(std::uint32_t place, DeviceId keep);
  void drop_host(JobId job, ItemIndex i);
  void note_drop(const Drop& drop) {
    drops_.push_back(drop);
    frees_ = true;
  }
  void pin(Copy* copy);
  void unpin(Copy* copy);
  bool unpin_as_if_never_pinned(Copy* copy);
  void fetch(Copy* copy);
  [[gnu::noinline]] void fetch_what_waits(const ItemState& here);
  void promote(Copy* copy);
  void send(Copy* from, Copy* to);
  void push(Copy* copy, DeviceId to);
  void request(Copy* copy, Direction direction, DeviceId source);
  [[nodiscard]] bool remote(const Copy& copy);
  void arrive_from_device(Copy* copy);
  void demote(Copy* copy);
  void demoted(Copy& copy, ItemState& here);
  [[gnu::noinline]] void send_gradients_home(JobId job, std::uint32_t unit, DeviceId device);
  bool make_room(DeviceId device, Bytes need);
  bool make_room_by_worth(DeviceId device, Bytes need);
  /// Some device has set its room aside and waits for it.
  [[nodiscard]] bool awaited(std::uint32_t place) const;
  void charge(DeviceId device, Bytes bytes);
  void note_roomier(DeviceId device);
  static bool arrives_from(DeviceId device, const Copy& copy);
  void lose(Copy* gone, Loss& loss);
  void cut_off(Copy* cut, Loss& loss);
  void cancel(Copy* copy, Loss& loss);
  struct Admission;
  Admission wanted_by(JobId job, std::span<const DeviceId> devices, std::span<const Bytes> peaks);
  void hold(JobId job, ItemIndex i, DeviceId device);
  void let_go(JobId job);
  [[nodiscard]] bool has_copies(JobId job) const;
  void free_set_aside(JobId job);
  void link(Copy* copy);
  void unlink(Copy* copy);

  const Program& program_;
  const Cluster& cluster_;
  const bool notes_drops_;
  const ItemPlaces places_;
  const UsesOfUnits uses_;
  const std::vector<std::uint16_t> node_of_;  ///< See nodes_of().
  std::vector<ItemState> items_;              ///< By place.
  std::deque<Copy> copies_;                   ///< They stay where they are.
  std::vector<Copy*> by_id_;                  ///< By Transfer::id.
  std::vector<Copy> rings_;                   ///< By device; see residency::Device.
  Copy* unused_ = nullptr;
  std::vector<Claimed> claims_;  ///< By Reservation.
  std::vector<Reservation> unused_claims_;
  std::vector<Device> devices_;
  std::vector<std::vector<std::pair<DeviceId, Bytes>>> set_aside_;  ///< Per held job.
  std::vector<std::vector<Copy*>> held_;  ///< Per held job: of shared items.
  std::vector<TransferId> requests_;
  std::vector<Drop> drops_;
  std::vector<DeviceId> roomier_;
  bool asks_ = false, frees_ = false;  ///< Something was added to the first; to the other two.
  Bytes host_used_ = 0, host_peak_ = 0;
  Worth worth_;
  Gone gone_;
  bool kept_ = false;       ///< Something, after its unit; see settle().
  bool gradients_ = false;  ///< Some item Item::host_steps.
};

}  // namespace shardlab
