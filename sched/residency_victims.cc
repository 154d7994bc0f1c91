#include <algorithm>
#include <vector>

#include "sched/residency.h"

/// What a policy may ask, and how its own order of what goes first replaces the least recently
/// used.
namespace shardlab {

Bytes Residency::present(JobId job, std::uint32_t unit, DeviceId device) const {
  Bytes bytes = 0;
  for (const ItemUse& use : uses_.of(job, unit).needed) {
    if (!use.reads) break;
    Copy* const copy = find(use.place, device);
    if (copy != nullptr && copy->present()) bytes += items_[use.place].bytes;
  }
  return bytes;
}

void Residency::add_holders(JobId job, std::uint32_t unit, std::vector<DeviceId>& devices) const {
  for (const ItemUse& use : uses_.of(job, unit).needed) {
    if (!use.reads) break;
    for (Copy* copy = items_[use.place].first; copy != nullptr; copy = copy->sibling) {
      devices.push_back(copy->transfer.device);
    }
  }
}

Residency::InFlight Residency::in_flight(DeviceId device, Direction direction) const {
  InFlight sum;
  for (const Copy& copy : copies_) {
    const Transfer& its = copy.transfer;
    const DeviceId of = direction == Direction::kPeer ? its.source : its.device;
    const bool moves = direction == Direction::kDemote
                           ? copy.leaving
                           : copy.stage == Stage::kArriving && its.direction == direction;
    if (!moves || of != device) continue;
    ++sum.transfers;
    sum.bytes += its.bytes;
  }
  return sum;
}

bool Residency::awaited(std::uint32_t place) const {
  for (Copy* copy = items_[place].first; copy != nullptr; copy = copy->sibling) {
    if (copy->stage == Stage::kReserved) return true;
  }
  return false;
}

/// The same rules as make_room(): clean copies are dropped if they are enough, else dirty ones are
/// demoted.
bool Residency::make_room_by_worth(DeviceId where, Bytes need) {
  Device& device = devices_[index(where)];
  const auto missing = [&] { return need - (device.budget - device.used); };
  struct Victim {
    std::int64_t worth;
    Copy* copy;
  };
  std::vector<Victim> victims;
  const bool drops = missing() <= device.clean;
  Copy* const ring = &rings_[index(where)];
  for (Copy* copy = ring->newer; copy != ring; copy = copy->newer) {
    const Transfer& its = copy->transfer;
    if (copy->dirty != drops) victims.push_back({worth_(its.job, its.item, where), copy});
  }
  std::ranges::stable_sort(victims, {}, &Victim::worth);
  for (const Victim& victim : victims) {
    if (missing() <= (drops ? 0 : device.clean + device.leaving)) break;
    const Transfer& its = victim.copy->transfer;
    gone_(its.job, its.item, where);
    drops ? drop(victim.copy) : demote(victim.copy);
  }
  return drops;
}

}  // namespace shardlab
