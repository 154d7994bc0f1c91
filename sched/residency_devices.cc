#include <algorithm>

#include "sched/limits.h"
#include "sched/residency.h"

/// What happens when a device is lost with all that lay on it.
namespace shardlab {

void Residency::interrupt(Reservation claim, bool began) {
  for (const ItemUse& use : claims_[claim].uses.needed) {
    if (began && use.writes) items_[use.place].writing = false;
  }
  unused_claims_.push_back(claim);
}

Residency::Loss Residency::lose(DeviceId device) {
  Loss loss;
  for (auto& held : held_) {
    std::erase_if(held, [&](Copy* copy) { return copy->transfer.device == device; });
  }
  for (const ItemState& item : items_) {
    Copy* next = nullptr;
    for (Copy* copy = item.first; copy != nullptr; copy = next) {
      next = copy->sibling;
      if (copy->transfer.device == device) {
        lose(copy, loss);
      } else if (arrives_from(device, *copy)) {
        cut_off(copy, loss);
      }
    }
  }
  for (auto& aside : set_aside_) {
    std::erase_if(aside, [&](const auto& entry) { return entry.first == device; });
  }
  Device& here = devices_[index(device)];
  here.used = here.set_aside = here.clean = here.leaving = 0;
  Copy& ring = rings_[index(device)];
  ring.older = ring.newer = &ring;
  for (const JobId job : loss.forgotten) free_set_aside(job);
  std::ranges::sort(loss.jobs);
  loss.jobs.erase(std::ranges::unique(loss.jobs).begin(), loss.jobs.end());
  return loss;
}

bool Residency::arrives_from(DeviceId device, const Copy& copy) {
  return copy.stage == Stage::kArriving && copy.transfer.direction == Direction::kPeer &&
         copy.transfer.source == device;
}

/// A copy on the lost device. What another device is sending there still arrives, at nothing.
void Residency::lose(Copy* gone, Loss& loss) {
  Copy& copy = *gone;
  if (copy.dirty && !copy.stale) loss.jobs.push_back(copy.transfer.job);
  if (items_[copy.place].forgotten) loss.forgotten.push_back(copy.transfer.job);
  const bool arriving = copy.stage == Stage::kArriving;
  if (arriving && copy.transfer.direction == Direction::kPeer) {
    loss.jobs.push_back(copy.transfer.job);
    copy.stale = copy.aside = true;  // It takes no room.
    copy.pins = 1;                   // The transfer's.
    copy.holders = 0;
    return;
  }
  if (arriving || copy.leaving) cancel(gone, loss);
  copy.stage = Stage::kReserved;
  copy.leaving = copy.sending = false;
  Copy** to = &items_[copy.place].first;
  while (*to != gone) to = &(*to)->sibling;
  *to = copy.sibling;
  copy.sibling = std::exchange(unused_, gone);
}

/// The lost device was sending it.
void Residency::cut_off(Copy* cut, Loss& loss) {
  Copy& copy = *cut;
  cancel(cut, loss);
  loss.jobs.push_back(copy.transfer.job);
  if (items_[copy.place].forgotten) loss.forgotten.push_back(copy.transfer.job);
  copy.stage = Stage::kReserved;
  unpin(cut);
  if (cut->pins == 0) drop(cut);
}

/// Its transfer, if it was started, is counted; if not, it is not asked for any more.
void Residency::cancel(Copy* copy, Loss& loss) {
  --items_[copy->place].moving;
  if (std::erase(requests_, copy->transfer.id) == 0) ++loss.transfers;
}

void Residency::restore(JobId job) {
  for (std::size_t i = 0; i < program_.jobs[index(job)].items.size(); ++i) {
    ItemState& here = state(job, static_cast<ItemIndex>(i));
    if (here.lasting) here.host = true;
  }
}

void Residency::give_up(JobId job) {
  for (std::size_t i = 0; i < program_.jobs[index(job)].items.size(); ++i) {
    ItemState& here = state(job, static_cast<ItemIndex>(i));
    bool anywhere = false;
    for (Copy* copy = here.first; copy != nullptr; copy = copy->sibling) {
      anywhere |= copy->dirty && !copy->stale;
    }
    if (here.lasting && !anywhere) here.host = true;
  }
}

std::vector<DeviceId> Residency::set_headroom() {
  std::vector<DeviceId> overfull;
  const std::vector<Bytes> wanted = headroom(program_.jobs, devices_.size());
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    Device& device = devices_[d];
    device.headroom = wanted[d];
    if (device.set_aside > device.budget - device.headroom) overfull.push_back(device_id(d));
  }
  return overfull;
}

void Residency::evict(DeviceId device) {
  Copy* const ring = &rings_[index(device)];
  for (Copy* copy = ring->newer; copy != ring;) {
    Copy* const newer = copy->newer;
    if (copy->dirty) {
      demote(copy);
    } else {
      drop(copy);
    }
    copy = newer;
  }
}

}  // namespace shardlab
