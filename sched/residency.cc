#include "sched/residency.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "sched/route.h"

namespace shardlab {

bool Residency::reserve(JobId job, const Unit& unit, DeviceId device) {
  Bytes need = unit.workspace;
  for (const ItemList* list : {&unit.reads, &unit.creates}) {
    for (const ItemIndex i : *list) {
      const CopyIndex copy = find(job, i, device);
      if (copy == kNone) {
        need += item(job, i).bytes;
      } else if (copies_[copy].stale) {
        return false;  // An old version is still on its way here.
      }
    }
  }
  const auto each_present = [&](auto&& change) {
    for (const ItemList* list : {&unit.reads, &unit.creates}) {
      for (const ItemIndex i : *list) {
        if (const CopyIndex copy = find(job, i, device); copy != kNone) change(copy);
      }
    }
  };
  each_present([&](CopyIndex copy) { pin(copy); });
  if (!held(job)) {
    if (!make_room(device, need)) {
      const std::size_t roomier = roomier_.size();
      each_present([&](CopyIndex copy) { unpin(copy); });
      roomier_.resize(roomier);  // As before: no reason to look again.
      return false;
    }
    charge(device, need);
  }
  for (const ItemList* list : {&unit.reads, &unit.creates}) {
    for (const ItemIndex i : *list) {
      if (find(job, i, device) != kNone) continue;
      const CopyIndex copy = add(job, i, device);
      pin(copy);
      // What it creates may still be there from the minibatch before, and is of no use.
      if (list == &unit.reads) fetch(copy);
    }
  }
  return true;
}

void Residency::release(JobId job, const Unit& unit, DeviceId device) {
  if (!held(job)) charge(device, -unit.workspace);
  for (const ItemList* list : {&unit.reads, &unit.creates}) {
    for (const ItemIndex i : *list) {
      const CopyIndex copy = find(job, i, device);
      assert(copy != kNone);
      unpin(copy);
      if (copies_[copy].pins == 0 && copies_[copy].stage == Stage::kReserved) drop(copy);
    }
  }
}

void Residency::abort(JobId job, const Unit& unit, DeviceId device) {
  for (const ItemIndex i : unit.writes) state(job, i).writing = false;
  release(job, unit, device);
}

bool Residency::arrived(JobId job, const Unit& unit, DeviceId device) const {
  for (const ItemIndex i : unit.reads) {
    const CopyIndex copy = find(job, i, device);
    if (copy == kNone || copies_[copy].stage != Stage::kThere || copies_[copy].stale) return false;
    const bool changes = unit.writes.contains(i) || unit.consumes.contains(i);
    if (changes && moving(job, i)) return false;  // Write after read.
  }
  return true;
}

bool Residency::moving(JobId job, ItemIndex i) const {
  for (CopyIndex c = state(job, i).first; c != kNone; c = copies_[c].sibling) {
    if (copies_[c].leaving || copies_[c].sending || copies_[c].stage == Stage::kArriving)
      return true;
  }
  return false;
}

void Residency::begin(JobId job, const Unit& unit, DeviceId device) {
  for (const ItemIndex i : unit.writes) {
    state(job, i).writing = true;
    drop_others(job, i, device);
  }
}

void Residency::commit(JobId job, const Unit& unit, DeviceId device) {
  for (const ItemIndex i : unit.writes) {
    state(job, i).writing = false;
    if (!item(job, i).lasting) drop_host(job, i);  // It takes no room there any more.
    state(job, i).host = false;
    copies_[find(job, i, device)].dirty = true;
  }
  for (const ItemIndex i : unit.creates) {
    Copy& copy = copies_[find(job, i, device)];
    copy.stage = Stage::kThere;
    copy.dirty = true;
  }
  if (!held(job)) charge(device, -unit.workspace);
  for (const ItemList* list : {&unit.reads, &unit.creates}) {
    for (const ItemIndex i : *list) unpin(find(job, i, device));
  }
  for (const ItemIndex i : unit.consumes) {
    drop_others(job, i, kNoDevice);
    drop_host(job, i);
  }
}

void Residency::settle(JobId job, const Unit& unit, DeviceId device, const Unit* next, bool keeps) {
  kept_ = kept_ || keeps;
  for (const ItemList* list : {&unit.reads, &unit.creates}) {
    for (const ItemIndex i : *list) {
      const CopyIndex copy = find(job, i, device);
      if (copy == kNone || !copies_[copy].dirty || copies_[copy].leaving) continue;
      const DeviceId reader = item(job, i).only_reader;
      const bool bound = program_.jobs[index(job)].resident || reader == device;
      // Other tracks wait for what they share.
      const bool shared = program_.jobs[index(job)].tracks.size() > 1;
      if (bound || (!shared && next != nullptr && next->reads.contains(i))) continue;
      if (keeps && !shared && !awaited(job, i)) continue;
      if (reader != kNoDevice && direct(cluster_, device, reader)) {
        push(copy, reader);
      } else {
        demote(copy);
      }
    }
  }
}

void Residency::finished(const Transfer& transfer) {
  const CopyIndex found = find(transfer.job, transfer.item, transfer.device);
  assert(found != kNone);
  Copy& copy = copies_[found];
  ItemState& here = state(transfer.job, transfer.item);
  if (transfer.direction == Direction::kPeer) {
    arrive_from_device(found, transfer.source);
  } else if (transfer.direction == Direction::kPromote) {
    copy.stage = Stage::kThere;
    unpin(found);
  } else {
    devices_[index(copy.device)].leaving -= item(copy.job, copy.item).bytes;
    copy.leaving = false;
    if (!copy.stale) {
      copy.dirty = false;
      here.host = true;
      if (!item(copy.job, copy.item).lasting) {
        host_used_ += item(copy.job, copy.item).bytes;
        host_peak_ = std::max(host_peak_, host_used_);
      }
    }
    unpin(found);
  }
  if (copies_[found].stale) {
    if (copies_[found].pins == 0) drop(found);
    if (here.forgotten) free_set_aside(transfer.job);
    return;
  }
  if (transfer.direction != Direction::kDemote) return;
  for (CopyIndex other = here.first; other != kNone; other = copies_[other].sibling) {
    if (copies_[other].stage == Stage::kReserved) promote(other);
  }
}

/// What a device sent, it has no more.
void Residency::arrive_from_device(CopyIndex arrived, DeviceId from) {
  Copy& copy = copies_[arrived];
  const CopyIndex source = find(copy.job, copy.item, from);
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
  const ItemState& here = state(copy.job, copy.item);
  if (here.writing) return;
  if (here.host) {
    promote(to);
    return;
  }
  for (CopyIndex from = here.first; from != kNone; from = copies_[from].sibling) {
    const Copy& source = copies_[from];
    const bool sends = source.stage == Stage::kThere && source.dirty && !source.stale &&
                       !source.leaving && !source.sending;
    if (sends && direct(cluster_, source.device, copy.device)) {
      send(from, to);
      return;
    }
    if (kept_ && source.stage == Stage::kThere && source.dirty && !source.stale &&
        !source.leaving) {
      demote(from);
      return;
    }
  }
}

/// To the only device that reads it: at once where its place is set aside or waits for it; else
/// when a claim there reserves one.
void Residency::push(CopyIndex from, DeviceId reader) {
  const JobId job = copies_[from].job;
  const ItemIndex i = copies_[from].item;
  CopyIndex to = find(job, i, reader);
  if (to == kNone && held(job)) to = add(job, i, reader);
  if (to != kNone && copies_[to].stage == Stage::kReserved && !copies_[from].sending) {
    send(from, to);
  }
}

Residency::CopyIndex Residency::find(JobId job, ItemIndex i, DeviceId device) const {
  CopyIndex copy = state(job, i).first;
  while (copy != kNone && copies_[copy].device != device) copy = copies_[copy].sibling;
  return copy;
}

Residency::CopyIndex Residency::add(JobId job, ItemIndex i, DeviceId device) {
  if (unused_.empty()) {
    unused_.push_back(static_cast<CopyIndex>(copies_.size()));
    copies_.emplace_back();
  }
  const CopyIndex copy = unused_.back();
  unused_.pop_back();
  copies_[copy] = {};
  copies_[copy].job = job;
  copies_[copy].item = i;
  copies_[copy].device = device;
  copies_[copy].aside = held(job) && item(job, i).shared == Item::kNotShared;
  copies_[copy].sibling = std::exchange(state(job, i).first, copy);
  return copy;
}

void Residency::drop(CopyIndex gone) {
  Copy& copy = copies_[gone];
  if (evictable(copy)) unlink(gone);
  CopyIndex* link = &state(copy.job, copy.item).first;
  while (*link != gone) link = &copies_[*link].sibling;
  *link = copy.sibling;
  if (!copy.aside) charge(copy.device, -item(copy.job, copy.item).bytes);
  drops_.push_back({copy.job, copy.item, copy.device});
  unused_.push_back(gone);
}

void Residency::drop_others(JobId job, ItemIndex i, DeviceId keep) {
  for (CopyIndex copy = state(job, i).first; copy != kNone;) {
    const CopyIndex next = copies_[copy].sibling;
    Copy& here = copies_[copy];
    if (here.device != keep) {
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
  if (!std::exchange(state(job, i).host, false)) return;
  host_used_ -= item(job, i).bytes;
  drops_.push_back({job, i, kNoDevice});
}

void Residency::pin(CopyIndex copy) {
  if (evictable(copies_[copy])) unlink(copy);
  ++copies_[copy].pins;
}

void Residency::unpin(CopyIndex copy) {
  assert(copies_[copy].pins > 0);
  --copies_[copy].pins;
  if (evictable(copies_[copy])) link(copy);
}

void Residency::promote(CopyIndex copy) {
  copies_[copy].stage = Stage::kArriving;
  pin(copy);
  const Copy& here = copies_[copy];
  requests_.push_back({0, here.job, here.item, 0, here.device, Direction::kPromote,
                       item(here.job, here.item).bytes, false, kNoDevice});
}

void Residency::send(CopyIndex from, CopyIndex to) {
  pin(from);
  pin(to);
  copies_[from].sending = true;
  copies_[to].stage = Stage::kArriving;
  const Copy& copy = copies_[to];
  requests_.push_back({0, copy.job, copy.item, 0, copy.device, Direction::kPeer,
                       item(copy.job, copy.item).bytes, false, copies_[from].device});
}

void Residency::demote(CopyIndex copy) {
  pin(copy);
  Copy& here = copies_[copy];
  here.leaving = true;
  devices_[index(here.device)].leaving += item(here.job, here.item).bytes;
  requests_.push_back({0, here.job, here.item, 0, here.device, Direction::kDemote,
                       item(here.job, here.item).bytes, false, kNoDevice});
}

bool Residency::make_room(DeviceId where, Bytes need) {
  Device& device = devices_[index(where)];
  const auto missing = [&] { return need - (device.budget - device.used); };
  if (missing() <= 0) return true;
  if (worth_) return make_room_by_worth(where, need);
  if (missing() <= device.clean) {
    for (CopyIndex copy = device.oldest; missing() > 0;) {
      const CopyIndex newer = copies_[copy].newer;
      if (!copies_[copy].dirty) drop(copy);
      copy = newer;
    }
    return true;
  }
  for (CopyIndex copy = device.oldest;
       copy != kNone && missing() > device.clean + device.leaving;) {
    const CopyIndex newer = copies_[copy].newer;
    if (copies_[copy].dirty) demote(copy);
    copy = newer;
  }
  return false;
}

void Residency::charge(DeviceId where, Bytes bytes) {
  Device& device = devices_[index(where)];
  device.used += bytes;
  device.peak = std::max(device.peak, device.used);
  assert(device.used >= 0 && device.used <= device.budget);
  if (bytes < 0) roomier_.push_back(where);
}

bool Residency::evictable(const Copy& copy) const {
  return copy.pins == 0 && copy.stage == Stage::kThere && !copy.stale && !copy.aside;
}

void Residency::link(CopyIndex copy) {
  Device& device = devices_[index(copies_[copy].device)];
  copies_[copy].older = std::exchange(device.newest, copy);
  copies_[copy].newer = kNone;
  (copies_[copy].older == kNone ? device.oldest : copies_[copies_[copy].older].newer) = copy;
  if (!copies_[copy].dirty) device.clean += item(copies_[copy].job, copies_[copy].item).bytes;
  roomier_.push_back(copies_[copy].device);
}

void Residency::unlink(CopyIndex gone) {
  Copy& copy = copies_[gone];
  Device& device = devices_[index(copy.device)];
  (copy.older == kNone ? device.oldest : copies_[copy.older].newer) = copy.newer;
  (copy.newer == kNone ? device.newest : copies_[copy.newer].older) = copy.older;
  copy.older = copy.newer = kNone;
  if (!copy.dirty) device.clean -= item(copy.job, copy.item).bytes;
}

}  // namespace shardlab
