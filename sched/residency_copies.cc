#include <algorithm>
#include <cassert>
#include <utility>

#include "sched/residency.h"
#include "sched/route.h"

/// Copies of items: where they come from and go to, and which of them go first.
namespace shardlab {

Residency::CopyIndex Residency::add(JobId job, ItemIndex i, std::uint32_t place, DeviceId device) {
  if (unused_ == kNone) {
    unused_ = static_cast<CopyIndex>(copies_.size());
    copies_.emplace_back().transfer.id = unused_;
  }
  const CopyIndex which = unused_;
  Copy& copy = copies_[which];
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
  copy.aside = held(job) && !here.shared;
  copy.sibling = std::exchange(here.first, which);
  return which;
}

void Residency::drop(CopyIndex gone) {
  if (copies_[gone].evictable()) unlink(gone);
  remove(gone);
}

/// One that is in no order of use.
void Residency::remove(CopyIndex gone) {
  Copy& copy = copies_[gone];
  CopyIndex* to = &items_[copy.place].first;
  while (*to != gone) to = &copies_[*to].sibling;
  *to = copy.sibling;
  if (!copy.aside) charge(copy.transfer.device, -copy.transfer.bytes);
  if (notes_drops_) note_drop({copy.transfer.job, copy.transfer.item, copy.transfer.device});
  copy.sibling = std::exchange(unused_, gone);
}

void Residency::drop_others(std::uint32_t place, DeviceId keep) {
  for (CopyIndex copy = items_[place].first; copy != kNone;) {
    Copy& here = copies_[copy];
    const CopyIndex next = here.sibling;
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

void Residency::pin(CopyIndex copy) {
  if (copies_[copy].evictable()) unlink(copy);
  ++copies_[copy].pins;
}

void Residency::unpin(CopyIndex copy) {
  if (unpin_as_if_never_pinned(copy)) note_roomier(copies_[copy].transfer.device);
}

/// Without a reason to look for room again. Returns whether it may go now.
bool Residency::unpin_as_if_never_pinned(CopyIndex copy) {
  assert(copies_[copy].pins > 0);
  --copies_[copy].pins;
  if (!copies_[copy].evictable()) return false;
  link(copy);
  return true;
}

void Residency::finished(TransferId id) {
  Copy& copy = copies_[id];
  const Direction direction = copy.transfer.direction;
  ItemState& here = items_[copy.place];
  --here.moving;
  if (direction == Direction::kPeer) {
    arrive_from_device(id);
  } else if (direction == Direction::kPromote) {
    copy.stage = Stage::kThere;
    unpin(id);
  } else {
    demoted(copy, here);
    unpin(id);
  }
  if (copy.stale) {
    const JobId job = copy.transfer.job;
    if (copy.pins == 0) drop(id);
    if (here.forgotten) free_set_aside(job);
    return;
  }
  if (direction == Direction::kPromote) return;
  if (direction == Direction::kPeer) return fetch_what_waits(here);
  for (CopyIndex other = here.first; other != kNone;) {
    const CopyIndex waiting = other;
    other = copies_[other].sibling;
    if (copies_[waiting].stage != Stage::kReserved) continue;
    // Of a gradient that has gone home nothing is left, but room that a claim made ahead keeps.
    copies_[waiting].pins > 0 ? promote(waiting) : drop(waiting);
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
void Residency::arrive_from_device(CopyIndex arrived) {
  Copy& copy = copies_[arrived];
  const CopyIndex source = find(copy.place, copy.transfer.source);
  assert(source != kNone);
  copy.stage = Stage::kThere;
  copies_[source].sending = false;
  if (!copy.stale) {
    copy.dirty = true;
    copies_[source].dirty = false;
  }
  unpin(arrived);
  unpin(source);
  const bool moved = !copy.stale || copies_[source].stale;
  if (moved && copies_[source].pins == 0) drop(source);
}

/// Asks for the newest version, from the host or straight from another device. Where it is neither
/// now, it comes when it is made or its present move ends.
void Residency::fetch(CopyIndex to) {
  const Copy& copy = copies_[to];
  const ItemState& here = items_[copy.place];
  if (here.writing) return;
  if (here.host) {
    promote(to);
    return;
  }
  for (CopyIndex from = here.first; from != kNone; from = copies_[from].sibling) {
    const Copy& source = copies_[from];
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
void Residency::push(CopyIndex from, DeviceId reader) {
  const JobId job = copies_[from].transfer.job;
  CopyIndex to = find(copies_[from].place, reader);
  if (to == kNone && held(job)) to = add(job, copies_[from].transfer.item, reader);
  if (to != kNone && copies_[to].stage == Stage::kReserved && !copies_[from].sending) {
    send(from, to);
  }
}

/// It has come to a device that may not be the one whose claim wants it by now.
void Residency::fetch_what_waits(const ItemState& here) {
  for (CopyIndex other = here.first; other != kNone; other = copies_[other].sibling) {
    const Copy& copy = copies_[other];
    if (copy.stage == Stage::kReserved && copy.pins > 0) fetch(other);
  }
}

void Residency::promote(CopyIndex copy) {
  copies_[copy].stage = Stage::kArriving;
  ++copies_[copy].pins;  // It may not go in any case.
  request(copy, Direction::kPromote, kNoDevice);
}

void Residency::send(CopyIndex from, CopyIndex to) {
  pin(from);
  pin(to);
  copies_[from].sending = true;
  copies_[to].stage = Stage::kArriving;
  request(to, Direction::kPeer, copies_[from].transfer.device);
}

void Residency::demote(CopyIndex copy) {
  pin(copy);
  Copy& here = copies_[copy];
  here.leaving = true;
  devices_[index(here.transfer.device)].leaving += here.transfer.bytes;
  request(copy, Direction::kDemote, kNoDevice);
}

void Residency::request(CopyIndex which, Direction direction, DeviceId source) {
  Copy& copy = copies_[which];
  copy.transfer.direction = direction;
  copy.transfer.source = source;
  copy.transfer.steps = copy.stage == Stage::kGradient;
  if (!node_of_.empty()) copy.transfer.remote = remote(copy);
  ++items_[copy.place].moving;
  requests_.push_back(which);
  stirs_ = true;
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
  const auto ring = static_cast<CopyIndex>(where);
  if (missing() <= device.clean) {
    for (CopyIndex copy = copies_[ring].newer; missing() > 0;) {
      const CopyIndex newer = copies_[copy].newer;
      if (!copies_[copy].dirty) {
        unlink(copy);
        remove(copy);
      }
      copy = newer;
    }
    return true;
  }
  for (CopyIndex copy = copies_[ring].newer;
       copy != ring && missing() > device.clean + device.leaving;) {
    const CopyIndex newer = copies_[copy].newer;
    if (copies_[copy].dirty) demote(copy);
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
  stirs_ = true;
}

void Residency::link(CopyIndex newest) {
  Copy& copy = copies_[newest];
  const auto ring = static_cast<CopyIndex>(copy.transfer.device);
  copy.newer = ring;
  copy.older = std::exchange(copies_[ring].older, newest);
  copies_[copy.older].newer = newest;
  if (!copy.dirty) devices_[ring].clean += copy.transfer.bytes;
}

void Residency::unlink(CopyIndex gone) {
  const Copy& copy = copies_[gone];
  copies_[copy.older].newer = copy.newer;
  copies_[copy.newer].older = copy.older;
  if (!copy.dirty) devices_[index(copy.transfer.device)].clean -= copy.transfer.bytes;
}

}  // namespace shardlab
