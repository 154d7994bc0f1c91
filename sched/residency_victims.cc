#include <algorithm>
#include <vector>

#include "sched/residency.h"

/// How a policy's own order of what goes first replaces the least recently used.
namespace shardlab {

Bytes Residency::present(JobId job, const Unit& unit, DeviceId device) const {
  Bytes bytes = 0;
  for (const ItemIndex i : unit.reads) {
    const CopyIndex copy = find(job, i, device);
    const bool there =
        copy != kNone && copies_[copy].stage != Stage::kReserved && !copies_[copy].stale;
    if (there) bytes += item(job, i).bytes;
  }
  return bytes;
}

bool Residency::awaited(JobId job, ItemIndex i) const {
  for (CopyIndex copy = state(job, i).first; copy != kNone; copy = copies_[copy].sibling) {
    if (copies_[copy].stage == Stage::kReserved) return true;
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
    CopyIndex copy;
  };
  std::vector<Victim> victims;
  const bool drops = missing() <= device.clean;
  for (CopyIndex copy = device.oldest; copy != kNone; copy = copies_[copy].newer) {
    const Copy& its = copies_[copy];
    if (its.dirty != drops) victims.push_back({worth_(its.job, its.item, where), copy});
  }
  std::ranges::stable_sort(victims, {}, &Victim::worth);
  for (const Victim& victim : victims) {
    if (missing() <= (drops ? 0 : device.clean + device.leaving)) break;
    drops ? drop(victim.copy) : demote(victim.copy);
  }
  return drops;
}

}  // namespace shardlab
