#include <algorithm>
#include <cassert>
#include <utility>

#include "sched/residency.h"
#include "sched/route.h"

/// Copies of items: where they come from and go to, and which of them go first.
namespace shardlab {

Residency::Copy* Residency::add(JobId job, ItemIndex i, std::uint32_t place, bool held,
                                DeviceId device) {
  if (unused_ == nullptr) {
    unused_ = &copies_.emplace_back();
    unused_->transfer.id = static_cast<TransferId>(by_id_.size());
    by_id_.push_back(unused_);
  }
  Copy* const which = unused_;
  Copy& copy = *which;
  unused_ = copy.sibling;
  ItemState& here = items_[place];
  copy.place = place;
  copy.pins = copy.holders = 0;
  copy.stage = Stage::kReserved;
  copy.dirty = copy.leaving = copy.sending = copy.stale = false;
  copy.transfer.job = job;
  copy.transfer.item = i;
  copy.transfer.device = device;
  copy.transfer.bytes = here.bytes;
  copy.aside = held && !here.shared;
  copy.sibling = std::exchange(here.first, which);
  return which;
}

void Residency::drop(Copy* gone) {
  if (gone->evictable()) unlink(gone);
  remove(gone);
}

/// One that is in no order of use.
void Residency::remove(Copy* gone) {
  Copy& copy = *gone;
  Copy** to = &items_[copy.place].first;
  while (*to != gone) to = &(*to)->sibling;
  *to = copy.sibling;
  if (!copy.aside) charge(copy.transfer.device, -copy.transfer.bytes);
  if (notes_drops_) note_drop({copy.transfer.job, copy.transfer.item, copy.transfer.device});
  copy.sibling = std::exchange(unused_, gone);
}

void Residency::drop_others(std::uint32_t place, DeviceId keep) {
  for (Copy* copy = items_[place].first; copy != nullptr;) {
    Copy& here = *copy;
    Copy* const next = here.sibling;
    if (here.transfer.device != keep) {
      const bool in_flight = here.stage == Stage::kArriving || here.leaving || here.sending;
      if (in_flight) {
        here.stale = true;
      } else if (here.pins == 0) {
        drop(copy);
      } else {
        // A claim made ahead keeps its room and waits for the new version.
        here.stage = Stage::kReserved;
        here.dirty = false;
      }
    }
    copy = next;
  }
}

void Residency::drop_host(JobId job, ItemIndex i) {
  ItemState& here = state(job, i);
  if (!std::exchange(here.host, false)) return;
  host_used_ -= here.bytes;
  if (notes_drops_) note_drop({job, i, kNoDevice});
}

void Residency::pin(Copy* copy) {
  if (copy->evictable()) unlink(copy);
  ++copy->pins;
}

void Residency::unpin(Copy* copy) {
  if (unpin_as_if_never_pinned(copy)) note_roomier(copy->transfer.device);
}

/// Without a reason to look for room again. Returns whether it may go now.
bool Residency::unpin_as_if_never_pinned(Copy* copy) {
  assert(copy->pins > 0);
  --copy->pins;
  if (!copy->evictable()) return false;
  link(copy);
  return true;
}

void Residency::finished(TransferId id) {
  Copy& copy = *by_id_[id];
  const Direction direction = copy.transfer.direction;
  ItemState& here = items_[copy.place];
  --here.moving;
  if (direction == Direction::kPeer) {
    arrive_from_device(&copy);
  } else if (direction == Direction::kPromote) {
    copy.stage = Stage::kThere;
    unpin(&copy);
  } else {
    demoted(copy, here);
    unpin(&copy);
  }
  if (copy.stale) {
    const JobId job = copy.transfer.job;
    if (copy.pins == 0) drop(&copy);
    if (here.forgotten) free_set_aside(job);
    return;
  }
  if (direction == Direction::kPromote) return;
  if (direction == Direction::kPeer) return fetch_what_waits(here);
  for (Copy* other = here.first; other != nullptr;) {
    Copy* const waiting = other;
    other = other->sibling;
    if (waiting->stage != Stage::kReserved) continue;
    // Of a gradient that has gone home nothing is left, but room that a claim made ahead keeps.
    waiting->pins > 0 ? promote(waiting) : drop(waiting);
  }
}

void Residency::demoted(Copy& copy, ItemState& here) {
  devices_[index(copy.transfer.device)].leaving -= here.bytes;
  copy.leaving = false;
  if (copy.stale) return;
  copy.dirty = false;
  if (copy.stage == Stage::kGradient) copy.stage = Stage::kReserved;
  here.host = true;
  if (!node_of_.empty()) here.node = node_of_[index(copy.transfer.device)];
  if (here.lasting) return;
  host_used_ += here.bytes;
  host_peak_ = std::max(host_peak_, host_used_);
}

/// What a device sent, it has no more.
void Residency::arrive_from_device(Copy* arrived) {
  Copy& copy = *arrived;
  Copy* const source = find(copy.place, copy.transfer.source);
  assert(source != nullptr);
  copy.stage = Stage::kThere;
  source->sending = false;
  if (!copy.stale) {
    copy.dirty = true;
    source->dirty = false;
  }
  unpin(arrived);
  unpin(source);
  const bool moved = !copy.stale || source->stale;
  if (moved && source->pins == 0) drop(source);
}

/// Asks for the newest version, from the host or straight from another device. Where it is neither
/// now, it comes when it is made or its present move ends.
void Residency::fetch(Copy* to) {
  const Copy& copy = *to;
  const ItemState& here = items_[copy.place];
  if (here.writing) return;
  if (here.host) {
    promote(to);
    return;
  }
  for (Copy* from = here.first; from != nullptr; from = from->sibling) {
    const Copy& source = *from;
    const bool sends = source.stage == Stage::kThere && source.dirty && !source.stale &&
                       !source.leaving && !source.sending;
    if (sends && direct(cluster_, source.transfer.device, copy.transfer.device)) {
      send(from, to);
      return;
    }
    if (sends && kept_) return demote(from);
  }
}

/// To the only device that reads it: at once where its place is set aside or waits for it; else
/// when a claim there reserves one.
void Residency::push(Copy* from, DeviceId reader) {
  const JobId job = from->transfer.job;
  Copy* to = find(from->place, reader);
  if (to == nullptr && held(job)) to = add(job, from->transfer.item, reader);
  if (to != nullptr && to->stage == Stage::kReserved && !from->sending) {
    send(from, to);
  }
}

/// It has come to a device that may not be the one whose claim wants it by now.
void Residency::fetch_what_waits(const ItemState& here) {
  for (Copy* other = here.first; other != nullptr; other = other->sibling) {
    const Copy& copy = *other;
    if (copy.stage == Stage::kReserved && copy.pins > 0) fetch(other);
  }
}

void Residency::promote(Copy* copy) {
  copy->stage = Stage::kArriving;
  ++copy->pins;  // It may not go in any case.
  request(copy, Direction::kPromote, kNoDevice);
}

void Residency::send(Copy* from, Copy* to) {
  pin(from);
  pin(to);
  from->sending = true;
  to->stage = Stage::kArriving;
  request(to, Direction::kPeer, from->transfer.device);
}

void Residency::demote(Copy* copy) {
  pin(copy);
  Copy& here = *copy;
  here.leaving = true;
  devices_[index(here.transfer.device)].leaving += here.transfer.bytes;
  request(copy, Direction::kDemote, kNoDevice);
}

void Residency::request(Copy* which, Direction direction, DeviceId source) {
  Copy& copy = *which;
  copy.transfer.direction = direction;
  copy.transfer.source = source;
  copy.transfer.steps = copy.stage == Stage::kGradient;
  if (!node_of_.empty()) copy.transfer.remote = remote(copy);
  ++items_[copy.place].moving;
  requests_.push_back(copy.transfer.id);
  asks_ = true;
}

/// Of a transfer that is asked for: each node has a host memory of its own, and an item is in that
/// of the node that loaded it or wrote it back last.
bool Residency::remote(const Copy& copy) {
  if (copy.transfer.direction != Direction::kPromote) return false;
  std::uint16_t& node = items_[copy.place].node;
  const std::uint16_t here = node_of_[index(copy.transfer.device)];
  if (node == ItemState::kNowhere) node = here;
  return node != here;
}

bool Residency::make_room(DeviceId where, Bytes need) {
  Device& device = devices_[index(where)];
  const auto missing = [&] { return need - (device.budget - device.used); };
  if (missing() <= 0) return true;
  if (worth_) return make_room_by_worth(where, need);
  Copy* const ring = &rings_[index(where)];
  if (missing() <= device.clean) {
    for (Copy* copy = ring->newer; missing() > 0;) {
      Copy* const newer = copy->newer;
      if (!copy->dirty) {
        unlink(copy);
        remove(copy);
      }
      copy = newer;
    }
    return true;
  }
  for (Copy* copy = ring->newer; copy != ring && missing() > device.clean + device.leaving;) {
    Copy* const newer = copy->newer;
    if (copy->dirty) demote(copy);
    copy = newer;
  }
  return false;
}

void Residency::charge(DeviceId where, Bytes bytes) {
  Device& device = devices_[index(where)];
  device.used += bytes;
  assert(device.used >= 0 && device.used <= device.budget);
  if (bytes < 0) {
    note_roomier(where);
  } else {
    device.peak = std::max(device.peak, device.used);
  }
}

void Residency::note_roomier(DeviceId device) {
  Device& here = devices_[index(device)];
  if (!here.refused || std::exchange(here.roomier, true)) return;
  roomier_.push_back(device);
  frees_ = true;
}

void Residency::link(Copy* newest) {
  Copy& copy = *newest;
  Copy* const ring = &rings_[index(copy.transfer.device)];
  copy.newer = ring;
  copy.older = std::exchange(ring->older, newest);
  copy.older->newer = newest;
  if (!copy.dirty) devices_[index(copy.transfer.device)].clean += copy.transfer.bytes;
}

void Residency::unlink(Copy* gone) {
  const Copy& copy = *gone;
  copy.older->newer = copy.newer;
  copy.newer->older = copy.older;
  if (!copy.dirty) devices_[index(copy.transfer.device)].clean -= copy.transfer.bytes;
}

}  // namespace shardlab
