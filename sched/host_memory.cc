#include "sched/host_memory.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace shardlab {

HostMemory::HostMemory(const Program& program, Bytes capacity)
    : places_(program), capacity_(capacity), items_(places_.count() + 1) {
  State& ring = items_.back();
  ring.older = ring.newer = places_.count();
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    const auto& items = program.jobs[j].items;
    for (ItemIndex i = 0; i < items.size(); ++i) {
      const Place which = places_.of(job_id(j), i);
      State& here = items_[which];
      if (here.room || here.on_disk) continue;  // Shared, and seen before.
      here.bytes = items[i].bytes;
      if (!items[i].lasting) continue;
      here.current = here.room = used_ + here.bytes <= capacity_;
      here.on_disk = !here.room;
      if (!here.room) continue;
      used_ += here.bytes;
      link(which);
    }
  }
  peak_ = used_;
}

HostMemory::Answer HostMemory::want(Place which) {
  State& here = items_[which];
  if (here.reading) return Answer::kMoves;
  if (here.room) {
    use(which);
    return Answer::kThere;
  }
  if (!take_room(which)) return Answer::kNoRoom;
  use(which);
  here.reading = true;  // Also what was changed since: who asked for it waits for an end.
  return Answer::kRead;
}

HostMemory::Answer HostMemory::want_room(Place which) {
  const State& here = items_[which];
  if (here.reading || here.writing) return Answer::kMoves;
  if (!here.room && !take_room(which)) return Answer::kNoRoom;
  use(which);
  return Answer::kThere;
}

void HostMemory::arrived(Place which) {
  State& here = items_[which];
  here.reading = false;
  here.current = here.on_disk;  // Else it was changed on its way.
  if (here.may_go()) link(which);
}

void HostMemory::leave(Place which, bool filled) {
  State& here = items_[which];
  assert(here.users > 0);
  if (filled) {
    here.current = true;
    here.on_disk = false;
  }
  --here.users;
  if (here.may_go()) link(which);
}

void HostMemory::dropped(Place which) {
  changed(which);
  if (items_[which].may_go()) free_room(which);
}

void HostMemory::restore(Place which) {
  State& here = items_[which];
  if (here.room) {
    here.current = true;
  } else {
    here.on_disk = true;
  }
}

void HostMemory::written(Place which) {
  State& here = items_[which];
  here.writing = false;
  writing_ -= here.bytes;
  here.on_disk = here.current;
  if (here.may_go()) release(which);  // What it was written for.
}

/// Lets go what it takes, or has it written: then there is room later.
bool HostMemory::make_room(Bytes need) {
  const auto ring = static_cast<Place>(items_.size() - 1);
  for (Place which = items_[ring].newer; which != ring && capacity_ - used_ + writing_ < need;) {
    const Place newer = items_[which].newer;
    State& here = items_[which];
    if (here.clean()) {
      free_room(which);
    } else {
      unlink(which);
      here.writing = true;
      writing_ += here.bytes;
      writes_.push_back(which);
    }
    which = newer;
  }
  return capacity_ - used_ >= need;
}

bool HostMemory::take_room(Place which) {
  State& here = items_[which];
  if (!make_room(here.bytes)) return false;
  here.room = true;
  here.current = false;
  used_ += here.bytes;
  assert(used_ <= capacity_);
  peak_ = std::max(peak_, used_);
  link(which);
  return true;
}

void HostMemory::free_room(Place which) {
  unlink(which);
  release(which);
}

void HostMemory::release(Place which) {
  items_[which].room = false;
  used_ -= items_[which].bytes;
}

void HostMemory::use(Place which) {
  if (items_[which].may_go()) unlink(which);
  ++items_[which].users;
}

void HostMemory::link(Place newest) {
  const auto ring = static_cast<Place>(items_.size() - 1);
  State& here = items_[newest];
  here.newer = ring;
  here.older = std::exchange(items_[ring].older, newest);
  items_[here.older].newer = newest;
}

void HostMemory::unlink(Place gone) {
  const State& here = items_[gone];
  items_[here.older].newer = here.newer;
  items_[here.newer].older = here.older;
}

}  // namespace shardlab
