#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "sched/limits.h"
#include "sched/residency.h"
#include "sched/route.h"

/// What happens once per job: what is there at first, admission, the last write-back, the end.
namespace shardlab {

Residency::Residency(const Program& program, const Cluster& cluster, bool notes_drops)
    : program_(program),
      cluster_(cluster),
      notes_drops_(notes_drops),
      places_(program),
      uses_(program, places_),
      node_of_(nodes_of(cluster)),
      items_(places_.count()),
      set_aside_(program.jobs.size()),
      held_(program.jobs.size()) {
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    const auto& items = program.jobs[j].items;
    for (std::size_t i = 0; i < items.size(); ++i) {
      ItemState& here = state(job_id(j), static_cast<ItemIndex>(i));
      // A shared item comes more than once, and counts once.
      if (items[i].lasting && !std::exchange(here.host, true)) host_used_ += items[i].bytes;
      here.bytes = items[i].bytes;
      here.lasting = items[i].lasting;
      here.shared = items[i].shared != Item::kNotShared;
      here.written = items[i].host_steps ? Stage::kGradient : Stage::kThere;
      gradients_ = gradients_ || items[i].host_steps;
    }
  }
  host_peak_ = host_used_;
  const std::vector<Bytes> left_free = headroom(program.jobs, cluster.devices.size());
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    devices_.emplace_back();
    devices_.back().budget = cluster.devices[d].memory;
    devices_.back().headroom = left_free[d];
  }
  rings_.resize(devices_.size());
  for (Copy& ring : rings_) ring.older = ring.newer = &ring;
}

/// What an admission sets aside on each device, and the present copies of shared items, pinned
/// meanwhile so that making room does not drop them.
struct Residency::Admission {
  struct OnDevice {
    Bytes own = 0;      ///< The peak but for shared items.
    Bytes missing = 0;  ///< Of shared items that are not there.
    Bytes unheld = 0;   ///< Of shared items that no held job reads there yet.
    std::vector<ItemIndex> shared;
  };
  std::vector<OnDevice> devices;
  std::vector<Copy*> pinned;
};

bool Residency::admit(JobId job, std::span<const DeviceId> devices, std::span<const Bytes> peaks) {
  Admission wanted = wanted_by(job, devices, peaks);
  bool fits = true;
  for (std::size_t i = 0; i < devices.size() && fits; ++i) {
    const Device& device = devices_[index(devices[i])];
    const auto& [own, missing, unheld, shared] = wanted.devices[i];
    if (peaks[i] == 0) continue;
    fits = own + unheld <= device.budget - device.headroom - device.set_aside &&
           make_room(devices[i], own + missing);
  }
  for (std::size_t i = 0; i < devices.size() && fits; ++i) {
    const Bytes own = wanted.devices[i].own;
    charge(devices[i], own);
    devices_[index(devices[i])].set_aside += own;
    set_aside_[index(job)].emplace_back(devices[i], own);
    for (const ItemIndex item : wanted.devices[i].shared) hold(job, item, devices[i]);
  }
  for (Copy* const copy : wanted.pinned) unpin_as_if_never_pinned(copy);
  return fits;
}

Residency::Admission Residency::wanted_by(JobId job, std::span<const DeviceId> devices,
                                          std::span<const Bytes> peaks) {
  Admission wanted;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    auto& here = wanted.devices.emplace_back();
    here.own = peaks[i];
    if (!places_.shared()) continue;
    const JobProgram& program = program_.jobs[index(job)];
    std::set<std::int32_t> seen;  // Replicas may read one item on one device.
    for (std::size_t k = 0; k < program.items.size(); ++k) {
      const Item& item = program.items[k];
      const bool read = program.resident || item.only_reader == devices[i];
      if (item.shared == Item::kNotShared || !read) continue;
      here.own -= item.bytes;
      if (!seen.insert(item.shared).second) continue;
      here.shared.push_back(static_cast<ItemIndex>(k));
      Copy* const copy = find(places_.of(job, here.shared.back()), devices[i]);
      if (copy == nullptr) here.missing += item.bytes;
      if (copy == nullptr || copy->holders == 0) here.unheld += item.bytes;
      if (copy == nullptr) continue;
      pin(copy);
      wanted.pinned.push_back(copy);
    }
  }
  return wanted;
}

/// Keeps a shared item on the device, and brings it there, for an admitted job that is held.
void Residency::hold(JobId job, ItemIndex i, DeviceId device) {
  Copy* copy = find(places_.of(job, i), device);
  if (copy == nullptr) {
    copy = add(job, i, device);
    charge(device, item(job, i).bytes);
    fetch(copy);
  }
  pin(copy);
  if (copy->holders++ == 0) devices_[index(device)].set_aside += item(job, i).bytes;
  held_[index(job)].push_back(copy);
}

void Residency::let_go(JobId job) {
  for (Copy* const copy : std::exchange(held_[index(job)], {})) {
    Copy& here = *copy;
    if (--here.holders == 0) {
      devices_[index(here.transfer.device)].set_aside -= here.transfer.bytes;
    }
    unpin(copy);
  }
}

void Residency::flush(JobId job) {
  for (std::size_t i = 0; i < program_.jobs[index(job)].items.size(); ++i) {
    const auto which = static_cast<ItemIndex>(i);
    if (!item(job, which).lasting) continue;
    for (Copy* copy = state(job, which).first; copy != nullptr; copy = copy->sibling) {
      if (copy->dirty && !copy->leaving) demote(copy);
    }
  }
}

bool Residency::flushed(JobId job) const {
  for (std::size_t i = 0; i < program_.jobs[index(job)].items.size(); ++i) {
    const auto which = static_cast<ItemIndex>(i);
    if (item(job, which).lasting && !state(job, which).host) return false;
  }
  return true;
}

void Residency::forget(JobId job) {
  for (std::size_t i = 0; i < program_.jobs[index(job)].items.size(); ++i) {
    const auto which = static_cast<ItemIndex>(i);
    if (item(job, which).shared != Item::kNotShared) continue;  // Others may use it.
    state(job, which).forgotten = true;
    drop_others(places_.of(job, which), kNoDevice);
    if (!item(job, which).lasting) drop_host(job, which);
  }
  let_go(job);
  free_set_aside(job);
}

bool Residency::vacate(JobId job) {
  forget(job);
  if (has_copies(job)) return false;
  for (std::size_t i = 0; i < program_.jobs[index(job)].items.size(); ++i) {
    const auto which = static_cast<ItemIndex>(i);
    if (item(job, which).shared == Item::kNotShared) state(job, which).forgotten = false;
  }
  return true;
}

/// Of items of its own.
bool Residency::has_copies(JobId job) const {
  for (std::size_t i = 0; i < program_.jobs[index(job)].items.size(); ++i) {
    const auto which = static_cast<ItemIndex>(i);
    const bool own = item(job, which).shared == Item::kNotShared;
    if (own && state(job, which).first != nullptr) return true;
  }
  return false;
}

/// Once the last copy is gone: one that is still in flight keeps its place in memory.
void Residency::free_set_aside(JobId job) {
  if (has_copies(job)) return;
  for (const auto& [device, bytes] : std::exchange(set_aside_[index(job)], {})) {
    charge(device, -bytes);
    devices_[index(device)].set_aside -= bytes;
  }
}

}  // namespace shardlab
