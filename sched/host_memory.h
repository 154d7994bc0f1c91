#pragma once

#include <cstdint>
#include <vector>

#include "core/bytes.h"
#include "sched/program.h"
#include "sched/unit_uses.h"

namespace shardlab {

/// The host's memory where a disk lies below it: which items are in memory and which on the disk
/// alone. What a device gets or gives passes through memory, so an item is there while it is
/// copied; else it may go, least recently used first: at once if the disk has it too, else when it
/// is written. Nothing here knows time.
///
/// At the beginning what lasts is in memory, in the order of the jobs, as far as there is room.
/// Requires: each item fits in by itself. Then what waits for room gets it in the end, since what
/// is in use waits for nothing but its copy.
class HostMemory {
 public:
  HostMemory(const Program& program, Bytes capacity);

  /// Of the item among those of all jobs; shared ones have one.
  using Place = std::uint32_t;
  [[nodiscard]] Place place(JobId job, ItemIndex item) const { return places_.of(job, item); }

  enum class Answer : std::uint8_t {
    kThere,   ///< In use, until leave().
    kRead,    ///< Room was made, and it is in use. To be read from the disk, then arrived().
    kMoves,   ///< It is being read or written: asked again then.
    kNoRoom,  ///< Asked again when something left, was written or dropped.
  };
  /// A device wants it: it must be in memory.
  [[nodiscard]] Answer want(Place which);
  /// A device gives it: there must be room. Never kRead.
  [[nodiscard]] Answer want_room(Place which);
  /// It has room, so that the answer is not kNoRoom.
  [[nodiscard]] bool has_room(Place which) const { return items_[which].room; }
  void arrived(Place which);
  /// It is not in use any more. `filled`: it is what a device gave.
  void leave(Place which, bool filled);

  /// A unit changes it, so that what the host has is worth nothing, though it keeps its room.
  void changed(Place which) { items_[which].current = items_[which].on_disk = false; }
  /// It needs no room any more.
  void dropped(Place which);
  /// What the host last kept of it, in memory or on the disk, is current again.
  void restore(Place which);

  /// To be written to the disk, since it was last cleared, in this order; then written().
  std::vector<Place>& writes() { return writes_; }
  void written(Place which);

  [[nodiscard]] Bytes bytes(Place which) const { return items_[which].bytes; }
  [[nodiscard]] Bytes used() const { return used_; }
  [[nodiscard]] Bytes peak() const { return peak_; }

 private:
  static constexpr Place kNone = UINT32_MAX;
  struct State {
    Bytes bytes = 0;
    std::uint32_t users = 0;
    Place older = kNone, newer = kNone;  ///< In the order of use, while it may go.
    bool room = false;                   ///< Set aside in memory.
    bool reading = false, writing = false;
    bool current = false;  ///< What is in memory is worth something.
    bool on_disk = false;  ///< What the disk has is the same.

    [[nodiscard]] bool may_go() const { return room && users == 0 && !reading && !writing; }
    [[nodiscard]] bool clean() const { return on_disk || !current; }
  };

  bool make_room(Bytes need);
  bool take_room(Place which);
  void free_room(Place which);
  void release(Place which);
  void use(Place which);
  void link(Place newest);
  void unlink(Place gone);

  const ItemPlaces places_;
  const Bytes capacity_;
  std::vector<State> items_;  ///< By place; one more is the ring of what may go.
  Bytes used_ = 0, peak_ = 0;
  Bytes writing_ = 0;  ///< Of what is being written to make room.
  std::vector<Place> writes_;
};

}  // namespace shardlab
