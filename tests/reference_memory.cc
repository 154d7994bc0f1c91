#include "tests/reference_memory.h"

#include <algorithm>

namespace shardlab::reference {

bool direct(const Cluster& cluster, std::size_t from, std::size_t to) {
  const DeviceSpec &a = cluster.devices[from], &b = cluster.devices[to];
  return from != to && (a.node != b.node || (a.peer && b.peer));
}

Memory::Memory(const Program& program, const Cluster& cluster, Fault fault)
    : program_(program), cluster_(cluster), fault_(fault) {
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    for (ItemIndex i = 0; i < program.jobs[j].items.size(); ++i) {
      if (program.jobs[j].items[i].lasting) in_host_.insert(first_of(j, i));
    }
  }
}

std::pair<std::size_t, ItemIndex> Memory::first_of(std::size_t job, ItemIndex item) const {
  if (!shared({job, 0, item})) return {job, item};
  const std::int32_t number = program_.jobs[job].items[item].shared;
  for (std::size_t j = 0;; ++j) {
    for (ItemIndex i = 0; i < program_.jobs[j].items.size(); ++i) {
      if (program_.jobs[j].items[i].shared == number) return {j, i};
    }
  }
}

Memory::Place Memory::place(std::size_t job, std::size_t device, ItemIndex item) const {
  const auto [first, its] = first_of(job, item);
  return {first, device, its};
}

bool Memory::shared(const Place& place) const {
  return program_.jobs[place.job].items[place.item].shared != Item::kNotShared &&
         fault_ != Fault::kEachItsOwnBase;
}

/// What the job reads there: of several replicas, as often.
std::vector<ItemIndex> Memory::shared_by(std::size_t job, std::size_t device) const {
  std::vector<ItemIndex> found;
  for (ItemIndex i = 0; i < program_.jobs[job].items.size(); ++i) {
    const bool here =
        program_.jobs[job].resident || program_.jobs[job].items[i].only_reader == device_id(device);
    if (here && shared(place(job, device, i))) found.push_back(i);
  }
  return found;
}

bool Memory::held_there(const Place& place) const {
  return std::ranges::any_of(
      holds_, [&](auto& each) { return std::ranges::count(each.second, place) > 0; });
}

std::vector<Memory::Place> Memory::places(const Claim& claim) const {
  std::vector<Place> all;
  for (const ItemIndex i : unit_of(claim).reads) all.push_back(place(claim.job, claim.device, i));
  for (const ItemIndex i : unit_of(claim).creates) all.push_back(place(claim.job, claim.device, i));
  return all;
}

/// What a claim reserved or a copy on its way needs, stays.
bool Memory::needed(const Place& place, const std::vector<Claim>& claims) const {
  if (copies_.at(place).moving() || held_there(place)) return true;
  return std::ranges::any_of(claims, [&](const Claim& claim) {
    return claim.reserved && std::ranges::count(places(claim), place) > 0;
  });
}

/// "A device's budget covers parameters, gradients, state, boundary activations, graphs and
/// workspace."
Bytes Memory::used(std::size_t device, const std::vector<Claim>& claims) const {
  Bytes sum = 0;
  for (const auto& [place, copy] : copies_) {
    if (place.device == device && (!held(place.job) || shared(place))) sum += bytes(place);
  }
  for (const Claim& claim : claims) {
    if (claim.device == device && claim.reserved && !held(claim.job)) {
      sum += unit_of(claim).workspace;
    }
  }
  for (const auto& [job, peaks] : set_aside_) sum += peaks[device];
  return sum;
}

Bytes Memory::on_host() const {
  Bytes sum = 0;
  for (std::size_t j = 0; j < program_.jobs.size(); ++j) {
    for (ItemIndex i = 0; i < program_.jobs[j].items.size(); ++i) {
      const Item& item = program_.jobs[j].items[i];
      if (first_of(j, i) != std::pair(j, i)) continue;  // Once, however many read it.
      if (item.lasting || in_host_.contains({j, i})) sum += item.bytes;
    }
  }
  return sum;
}

/// "Held jobs ... always leave room for the largest unit of the jobs that hold nothing."
Bytes Memory::headroom(std::size_t device) const {
  Bytes most = 0;
  for (const JobProgram& job : program_.jobs) {
    for (const Unit& unit : job.units) {
      if (job.held || (unit.bound != kNoDevice && index(unit.bound) != device)) continue;
      Bytes sum = unit.workspace;
      for (const ItemIndex i : unit.reads) sum += job.items[i].bytes;
      for (const ItemIndex i : unit.creates) sum += job.items[i].bytes;
      most = std::max(most, sum);
    }
  }
  return fault_ == Fault::kNoHeadroom ? 0 : most;
}

/// For held jobs: what several of them share, once.
Bytes Memory::set_aside_on(std::size_t device) const {
  Bytes sum = 0;
  for (const auto& [job, peaks] : set_aside_) sum += peaks[device];
  std::set<Place> shared;
  for (const auto& [job, places] : holds_) shared.insert(places.begin(), places.end());
  for (const Place& place : shared) sum += place.device == device ? bytes(place) : 0;
  return sum;
}

/// "Held jobs set their peak aside at admission."
bool Memory::admit(std::size_t job, const std::vector<std::size_t>& devices,
                   const std::vector<Claim>& claims) {
  std::vector<Bytes> peaks(cluster_.devices.size());
  for (std::size_t i = 0; i < devices.size(); ++i) peaks[devices[i]] = program_.jobs[job].peak[i];
  std::vector<Place> present;
  for (const std::size_t d : devices) {
    for (const ItemIndex i : shared_by(job, d)) {
      if (copies_.contains(place(job, d, i))) present.push_back(place(job, d, i));
    }
  }
  bool fits = true;
  for (const std::size_t d : devices) {
    if (peaks[d] == 0 || !fits) continue;
    Bytes missing = 0, unheld = 0;
    std::set<Place> seen;  // "Its peak without them it sets aside as ever."
    for (const ItemIndex i : shared_by(job, d)) {
      const Place it = place(job, d, i);
      peaks[d] -= bytes(it);
      if (!seen.insert(it).second) continue;
      if (!copies_.contains(it)) missing += bytes(it);
      if (!held_there(it)) unheld += bytes(it);
    }
    fits = peaks[d] + unheld + set_aside_on(d) + headroom(d) <= cluster_.devices[d].memory &&
           make_room(d, peaks[d] + missing, present, claims);
  }
  for (const Place& place : present) copies_[place].last_use = ++uses_;  // To try is a use.
  if (!fits) return false;
  set_aside_[job] = peaks;
  holds_[job] = {};
  for (const std::size_t d : devices) {
    for (const ItemIndex i : shared_by(job, d)) {
      const Place it = place(job, d, i);
      if (std::ranges::count(holds_[job], it) > 0) continue;  // For another replica.
      bring(job, i, d, true);
      holds_[job].push_back(it);
    }
  }
  return true;
}

/// What is not there.
void Memory::bring(std::size_t job, ItemIndex item, std::size_t device, bool reads) {
  const Place to = place(job, device, item);
  if (copies_.contains(to)) return;
  copies_[to].job = job;
  copies_[to].item = item;
  if (reads) fetch(to);
}

/// "Room for all that the unit needs on the device, at once or not at all."
bool Memory::reserve(const Claim& claim, const std::vector<Claim>& claims) {
  const std::vector<Place> mine = places(claim);
  Bytes missing = unit_of(claim).workspace;
  for (const Place& place : mine) {
    if (!copies_.contains(place)) {
      missing += bytes(place);
    } else if (copies_.at(place).stale) {
      return false;  // An old version is still on its way here.
    }
  }
  if (!held(claim.job) && !make_room(claim.device, missing, mine, claims)) {
    let_go(claim);  // To try is a use, too.
    return false;
  }
  for (const ItemIndex i : unit_of(claim).reads) bring(claim.job, i, claim.device, true);
  for (const ItemIndex i : unit_of(claim).creates) bring(claim.job, i, claim.device, false);
  return true;
}

/// Copies that are there for convenience, least recently used first.
std::vector<Memory::Place> Memory::dispensable(std::size_t device, const std::vector<Place>& keep,
                                               const std::vector<Claim>& claims) const {
  std::vector<Place> found;
  for (const auto& [place, copy] : copies_) {
    const bool stays = held(place.job) && !shared(place);
    if (place.device != device || stays || copy.stage != Stage::kThere) continue;
    if (copy.stale || needed(place, claims) || std::ranges::count(keep, place) > 0) continue;
    found.push_back(place);
  }
  std::ranges::sort(found, {}, [&](const Place& place) { return copies_.at(place).last_use; });
  if (fault_ == Fault::kTheNewestGoesFirst) std::ranges::reverse(found);
  return found;
}

/// "Clean copies are dropped, least recently used first; if that is not enough, dirty ones are
/// demoted, and the reservation waits for that."
bool Memory::make_room(std::size_t device, Bytes need, const std::vector<Place>& keep,
                       const std::vector<Claim>& claims) {
  Bytes missing = need - (cluster_.devices[device].memory - used(device, claims));
  const std::vector<Place> may_go = dispensable(device, keep, claims);
  Bytes clean = 0, leaving = 0;
  for (const Place& place : may_go) clean += copies_[place].dirty ? 0 : bytes(place);
  for (const auto& [place, copy] : copies_) {
    if (place.device == device && copy.leaving) leaving += bytes(place);
  }
  if (missing <= 0) return true;
  if (missing <= clean) {
    for (const Place& place : may_go) {
      if (missing <= 0 && fault_ != Fault::kDropsMoreThanItMust) break;
      if (copies_[place].dirty) continue;
      missing -= bytes(place);
      copies_.erase(place);
    }
    return true;
  }
  for (const Place& place : may_go) {
    if (missing <= clean + leaving) break;
    if (!copies_[place].dirty) continue;
    leaving += bytes(place);
    demote(place);
  }
  return false;
}

bool Memory::arrived(const Claim& claim) const {
  const Unit& unit = unit_of(claim);
  for (const ItemIndex i : unit.reads) {
    const auto found = copies_.find(place(claim.job, claim.device, i));
    if (found == copies_.end() || found->second.stage != Stage::kThere) return false;
    if (found->second.stale) return false;
    // "A unit that writes or consumes an item waits until no copy of that item is under way."
    if (!unit.writes.contains(i) && !unit.consumes.contains(i)) continue;
    for (const auto& [place, copy] : copies_) {
      const bool same = place.job == claim.job && place.item == i;
      if (same && copy.moving() && fault_ != Fault::kWritesDoNotWait) return false;
    }
  }
  return true;
}

/// What sits elsewhere is old: dropped, or on arrival; a claim keeps its room for the new version.
void Memory::make_void(std::size_t job, ItemIndex item, std::size_t but_on,
                       const std::vector<Claim>& claims) {
  for (std::size_t d = 0; d < cluster_.devices.size(); ++d) {
    const Place place{job, d, item};
    if (d == but_on || !copies_.contains(place)) continue;
    Copy& copy = copies_[place];
    if (copy.moving()) {
      copy.stale = true;
    } else if (needed(place, claims)) {
      copy.stage = Stage::kRoom;
      copy.dirty = false;
    } else {
      copies_.erase(place);
    }
  }
}

/// "When a unit starts, other copies of what it writes are void."
void Memory::begin(const Claim& claim, const std::vector<Claim>& claims) {
  for (const ItemIndex i : unit_of(claim).writes) {
    changing_.insert({claim.job, i});
    make_void(claim.job, i, claim.device, claims);
  }
}

void Memory::let_go(const Claim& claim) {
  for (const Place& place : places(claim)) {
    if (copies_.contains(place)) copies_[place].last_use = ++uses_;
  }
}

void Memory::commit(const Claim& claim, const std::vector<Claim>& claims) {
  const Unit& unit = unit_of(claim);
  for (const ItemIndex i : unit.writes) {
    changing_.erase({claim.job, i});
    if (program_.jobs[claim.job].items[i].lasting) {
      in_host_.erase({claim.job, i});  // It keeps its place there.
    } else {
      drop_from_host(claim.job, i);
    }
    Copy& copy = copies_.at({claim.job, claim.device, i});
    copy.dirty = true;
    // "What a unit leaves in the place of such parameters is their gradient."
    if (program_.jobs[claim.job].items[i].host_steps) copy.stage = Stage::kGradient;
  }
  for (const ItemIndex i : unit.creates) {
    Copy& copy = copies_.at({claim.job, claim.device, i});
    copy.stage = Stage::kThere;
    copy.dirty = true;
  }
  let_go(claim);
  for (const ItemIndex i : unit.consumes) {
    make_void(claim.job, i, cluster_.devices.size(), claims);
    drop_from_host(claim.job, i);
  }
}

void Memory::drop_from_host(std::size_t job, ItemIndex item) {
  if (in_host_.erase({job, item}) > 0) unneeded.emplace_back(job, item);
}

/// "Written back at once, unless the job's next unit reads them here or all its readers are bound
/// here."
void Memory::settle(const Claim& claim, const Unit* next) {
  for (const Place& place : places(claim)) {
    const auto found = copies_.find(place);
    if (found == copies_.end() || !found->second.dirty || found->second.leaving) continue;
    const JobProgram& job = program_.jobs[claim.job];
    const DeviceId reader = job.items[place.item].only_reader;
    if (found->second.stage == Stage::kGradient && fault_ != Fault::kGradientsStay) {
      demote(place);
      continue;
    }
    if (job.resident || reader == device_id(claim.device)) continue;
    const bool shared = job.tracks.size() > 1;  // Other tracks wait for it.
    const bool read_here = !shared && next != nullptr && next->reads.contains(place.item);
    if (read_here && fault_ != Fault::kAlwaysWrittenBack) continue;
    const bool by_host = fault_ == Fault::kHandedOverByTheHost;
    if (!by_host && reader != kNoDevice && direct(cluster_, place.device, index(reader))) {
      hand_over(place, index(reader));
    } else {
      demote(place);
    }
  }
}

void Memory::give_back(const Claim& claim, const std::vector<Claim>& claims) {
  let_go(claim);
  for (const Place& place : places(claim)) {
    if (copies_.at(place).stage == Stage::kRoom && !needed(place, claims)) copies_.erase(place);
  }
}

/// Item by item.
void Memory::flush(std::size_t job) {
  for (ItemIndex i = 0; i < program_.jobs[job].items.size(); ++i) {
    for (auto& [place, copy] : copies_) {
      const bool same = place.job == job && place.item == i;
      const bool goes = program_.jobs[job].items[i].lasting && copy.dirty && !copy.leaving;
      if (same && goes) demote(place);
    }
  }
}

bool Memory::flushed(std::size_t job) const {
  const auto& items = program_.jobs[job].items;
  for (ItemIndex i = 0; i < items.size(); ++i) {
    if (items[i].lasting && !in_host_.contains(first_of(job, i))) return false;
  }
  return true;
}

void Memory::forget(std::size_t job) {
  forgotten_.insert(job);
  const auto& items = program_.jobs[job].items;
  for (ItemIndex i = 0; i < items.size(); ++i) {
    if (shared({job, 0, i})) continue;  // Others may read it.
    make_void(job, i, cluster_.devices.size(), {});
    if (!items[i].lasting) drop_from_host(job, i);
  }
  for (const Place& place : holds_[job]) copies_[place].last_use = ++uses_;
  holds_.erase(job);
  free_set_aside(job);
}

/// What is set aside covers copies that are still on their way.
void Memory::free_set_aside(std::size_t job) {
  for (const auto& [place, copy] : copies_) {
    if (place.job == job && !shared(place)) return;
  }
  set_aside_.erase(job);
}

}  // namespace shardlab::reference
