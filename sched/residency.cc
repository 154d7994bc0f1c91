#include "sched/residency.h"

#include <algorithm>

#include "sched/route.h"

/// What a claim does with memory, from its reservation to the write-backs that follow its unit.
namespace shardlab {

[[gnu::flatten]] Residency::Reservation Residency::reserve(JobId job, std::uint32_t unit,
                                                           DeviceId device) {
  const Reservation claim = new_reservation(job, unit, device);
  Claimed& claimed = claims_[claim];
  const UnitUses& uses = claimed.uses;
  const bool found = find_room(uses, claimed);
  devices_[index(device)].refused = !found;
  if (!found) {
    unused_claims_.push_back(claim);
    return kNoRoom;
  }
  for (std::size_t k = 0; k < uses.needed.size(); ++k) {
    const ItemUse& use = uses.needed[k];
    Copy*& copy = claimed.copies[k];
    if (copy != nullptr) continue;
    copy = add(job, use.item, use.place, uses.held, device);
    ++copy->pins;
    // What it creates may still be there from the minibatch before, and is of no use.
    if (use.reads) fetch(copy);
  }
  return claim;
}

Residency::Reservation Residency::new_reservation(JobId job, std::uint32_t unit, DeviceId device) {
  if (unused_claims_.empty()) {
    unused_claims_.push_back(static_cast<Reservation>(claims_.size()));
    claims_.emplace_back();
  }
  const Reservation claim = unused_claims_.back();
  unused_claims_.pop_back();
  claims_[claim].uses = uses_.of(job, unit);
  claims_[claim].job = job;
  claims_[claim].device = device;
  return claim;
}

/// Takes the room that is missing, and pins the copies that are there.
bool Residency::find_room(const UnitUses& uses, Claimed& claimed) {
  Bytes need = uses.workspace;
  bool present = false;
  for (std::size_t k = 0; k < uses.needed.size(); ++k) {
    const std::uint32_t place = uses.needed[k].place;
    Copy* const copy = claimed.copies[k] = find(place, claimed.device);
    if (copy == nullptr) {
      need += items_[place].bytes;
    } else if (copy->stale) {
      return false;  // An old version is still on its way here.
    } else {
      present = true;
    }
  }
  const auto each_present = [&](auto&& change) {
    for (std::size_t k = 0; present && k < uses.needed.size(); ++k) {
      if (claimed.copies[k] != nullptr) change(claimed.copies[k]);
    }
  };
  each_present([&](Copy* copy) { pin(copy); });
  if (uses.held) return true;
  if (make_room(claimed.device, need)) {
    charge(claimed.device, need);
    return true;
  }
  each_present([&](Copy* copy) { unpin_as_if_never_pinned(copy); });
  return false;
}

void Residency::release(Reservation claim) {
  const Claimed& claimed = claims_[claim];
  const UnitUses& uses = claimed.uses;
  if (!uses.held) charge(claimed.device, -uses.workspace);
  for (std::size_t k = 0; k < uses.needed.size(); ++k) {
    Copy* const copy = claimed.copies[k];
    unpin(copy);
    if (copy->pins == 0 && copy->stage == Stage::kReserved) drop(copy);
  }
  unused_claims_.push_back(claim);
}

void Residency::abort(Reservation claim) {
  for (const ItemUse& use : claims_[claim].uses.needed) {
    if (use.writes) items_[use.place].writing = false;
  }
  release(claim);
}

bool Residency::arrived(Reservation claim) const {
  const Claimed& claimed = claims_[claim];
  Copy* const* copies = claimed.copies.data();
  for (const ItemUse& use : claimed.uses.needed) {
    if (!use.reads) break;
    const Copy& copy = **copies++;
    if (copy.stage != Stage::kThere || copy.stale) return false;
    const bool changes = use.writes || use.consumes;
    if (changes && items_[use.place].moving > 0) return false;  // Write after read.
  }
  return true;
}

void Residency::begin_writing(Reservation claim) {
  const Claimed& claimed = claims_[claim];
  for (const ItemUse& use : claimed.uses.needed) {
    if (!use.writes) continue;
    items_[use.place].writing = true;
    drop_others(use.place, claimed.device);
  }
}

[[gnu::flatten]] bool Residency::commit(Reservation claim) {
  const Claimed& claimed = claims_[claim];
  const UnitUses& uses = claimed.uses;
  if (!uses.held) charge(claimed.device, -uses.workspace);
  bool dirty = false;
  for (std::size_t k = 0; k < uses.needed.size(); ++k) {
    const ItemUse& use = uses.needed[k];
    Copy* const copy = claimed.copies[k];
    ItemState& here = items_[use.place];
    if (use.writes) {
      here.writing = false;
      if (!here.lasting) drop_host(claimed.job, use.item);  // It takes no room there any more.
      here.host = false;
      copy->stage = here.written;
      copy->dirty = true;
    }
    if (use.creates) {
      copy->stage = Stage::kThere;
      copy->dirty = true;
    }
    dirty |= copy->dirty;
    unpin(copy);
    if (!use.consumes) continue;
    drop_others(use.place, kNoDevice);
    drop_host(claimed.job, use.item);
  }
  for (const ItemUse& use : uses.consumed) {
    drop_others(use.place, kNoDevice);
    drop_host(claimed.job, use.item);
  }
  unused_claims_.push_back(claim);
  return dirty;
}

[[gnu::flatten]] void Residency::settle(JobId job, std::uint32_t unit, DeviceId device,
                                        std::uint32_t next, bool keeps) {
  kept_ = kept_ || keeps;
  if (gradients_) send_gradients_home(job, unit, device);
  const auto reads = [&](std::uint32_t other, std::uint32_t place) {
    return std::ranges::any_of(uses_.of(job, other).needed,
                               [&](const ItemUse& use) { return use.reads && use.place == place; });
  };
  const JobProgram& program = program_.jobs[index(job)];
  for (const ItemUse& use : uses_.of(job, unit).needed) {
    Copy* const copy = find(use.place, device);
    if (copy == nullptr || !copy->dirty || copy->leaving) continue;
    const DeviceId reader = program.items[use.item].only_reader;
    const bool bound = program.resident || reader == device;
    // Other tracks wait for what they share.
    const bool shared = program.tracks.size() > 1;
    if (bound || (!shared && next != kNoUnit && reads(next, use.place))) continue;
    if (keeps && !shared && !awaited(use.place)) continue;
    if (reader != kNoDevice && direct(cluster_, device, reader)) {
      push(copy, reader);
    } else {
      demote(copy);
    }
  }
}

/// Whoever reads the parameters next: the host makes the next version of them.
void Residency::send_gradients_home(JobId job, std::uint32_t unit, DeviceId device) {
  for (const ItemUse& use : uses_.of(job, unit).needed) {
    Copy* const copy = find(use.place, device);
    if (copy == nullptr || copy->stage != Stage::kGradient || copy->leaving) continue;
    demote(copy);
  }
}

}  // namespace shardlab
