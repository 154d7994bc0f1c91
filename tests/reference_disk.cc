#include "tests/reference_disk.h"

#include <algorithm>

#include "tests/reference.h"

namespace shardlab::reference {

/// "At the beginning what lasts is in memory, job by job, as far as it goes."
Disk::Disk(const Program& program, const Cluster& cluster, Fault fault)
    : cluster_(cluster), fault_(fault) {
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    for (ItemIndex i = 0; i < program.jobs[j].items.size(); ++i) {
      Item item;
      item.bytes = program.jobs[j].items[i].bytes;
      if (program.jobs[j].items[i].lasting) {
        item.room = item.current = used() + item.bytes <= cluster.host_memory;
        item.on_disk = !item.room;
        item.last_use = ++uses_;
      }
      items_[{j, i}] = item;
    }
  }
  peak = used();
}

Bytes Disk::used() const {
  Bytes sum = 0;
  for (const auto& [place, item] : items_) sum += item.room ? item.bytes : 0;
  return sum;
}

void Disk::start(std::size_t passage, const Move& move) { waiting_.push_back({passage, move}); }

/// Asks those that wait, again and again, until nobody gets any further.
std::vector<std::size_t> Disk::ready(Instant now) {
  std::vector<std::size_t> entering;
  for (bool again = true; again;) {
    again = end_due(now, entering);
    bool room = true;  // "What wants room gets it in the order of asking, and no one overtakes."
    for (const Asker& asker : std::exchange(waiting_, {})) {
      const bool passes = room || items_.at(asker.place()).room;
      const Answer answer = passes ? ask(asker, now) : Answer::kWaitsForRoom;
      if (answer == Answer::kEnters) entering.push_back(asker.passage);
      if (answer == Answer::kIsRead) reading_.push_back(asker);
      if (answer == Answer::kWaitsForRoom && fault_ != Fault::kRoomIsOvertaken) room = false;
      const bool waits = answer == Answer::kWaits || answer == Answer::kWaitsForRoom;
      waits ? waiting_.push_back(asker) : (void)using_.emplace(asker.passage, asker);
    }
    for (const auto& [place, item] : items_) {  // What takes no time.
      again = again || (item.reading && item.read_ends <= now);
      again = again || (item.writing && item.write_ends <= now);
    }
  }
  return entering;
}

/// Returns whether anything ended.
bool Disk::end_due(Instant now, std::vector<std::size_t>& entering) {
  bool any = false;
  for (auto& [place, item] : items_) {
    if (!item.writing || item.write_ends > now) continue;
    item.writing = false;
    item.on_disk = item.current;
    if (item.users == 0 && !item.reading) item.room = false;  // What it was written for.
    any = true;
  }
  std::vector<Asker> ended;  // One after another.
  for (const Asker& asker : reading_) {
    if (items_.at(asker.place()).read_ends <= now) ended.push_back(asker);
  }
  for (const Asker& asker : ended) {
    Item& item = items_.at(asker.place());
    item.reading = false;
    item.current = item.on_disk;  // Else it was changed on its way.
    item.last_use = ++uses_;
    entering.push_back(asker.passage);
    std::erase_if(reading_, [&](const Asker& each) { return each.passage == asker.passage; });
    any = true;
  }
  return any;
}

/// "A promotion of what is not in memory makes room and reads it; a demotion makes room for what
/// comes."
Disk::Answer Disk::ask(const Asker& asker, Instant now) {
  Item& item = items_.at(asker.place());
  const bool back = asker.move.direction == Direction::kDemote;
  if (item.reading || (back && item.writing)) return Answer::kWaits;
  if (item.room) {
    ++item.users;
    return Answer::kEnters;
  }
  if (!take_room(item, now)) return Answer::kWaitsForRoom;
  ++item.users;
  if (back) return Answer::kEnters;
  const LinkSpec& from = cluster_.disk->read;
  item.reading = true;
  item.read_ends = read_free_ =
      std::max(now, read_free_) + copy_time(item.bytes, from.latency, from.bytes_per_second);
  read += item.bytes;
  return Answer::kIsRead;
}

/// "Room is made by what no copy uses, least recently used first: what the disk has too goes at
/// once, the rest is written first."
bool Disk::take_room(Item& wanted, Instant now) {
  std::vector<Item*> may_go;
  Bytes writing = 0;
  for (auto& [place, item] : items_) {
    if (item.may_go()) may_go.push_back(&item);
    if (item.writing) writing += item.bytes;
  }
  std::ranges::sort(may_go, {}, &Item::last_use);
  if (fault_ == Fault::kTheHostsNewestGoesFirst) std::ranges::reverse(may_go);
  const Bytes capacity = cluster_.host_memory;
  for (Item* item : may_go) {
    if (capacity - used() + writing >= wanted.bytes) break;
    if ((item->on_disk && fault_ != Fault::kEverythingIsWritten) || !item->current) {
      item->room = false;
      continue;
    }
    const LinkSpec& to = cluster_.disk->write;
    item->writing = true;
    item->write_ends = write_free_ =
        std::max(now, write_free_) + copy_time(item->bytes, to.latency, to.bytes_per_second);
    written += item->bytes;
    writing += item->bytes;
  }
  if (capacity - used() < wanted.bytes) return false;
  wanted.room = true;
  wanted.current = false;
  peak = std::max(peak, used());
  return true;
}

void Disk::finished(std::size_t passage) {
  const auto found = using_.find(passage);
  if (found == using_.end()) return;
  Item& item = items_.at(found->second.place());
  if (found->second.move.direction == Direction::kDemote) {
    item.current = true;
    item.on_disk = false;
  }
  --item.users;
  item.last_use = ++uses_;
  using_.erase(found);
}

/// "A unit that changes an item makes what memory and disk have of it worthless."
void Disk::changed(std::size_t job, const Unit& unit) {
  for (const ItemIndex i : unit.writes)
    items_.at({job, i}).current = items_.at({job, i}).on_disk = false;
}

void Disk::dropped(std::size_t job, ItemIndex i) {
  Item& item = items_.at({job, i});
  item.current = item.on_disk = false;
  if (item.may_go()) item.room = false;
}

Instant Disk::next() const {
  Instant next = kNever;
  for (const auto& [place, item] : items_) {
    if (item.reading) next = std::min(next, item.read_ends);
    if (item.writing) next = std::min(next, item.write_ends);
  }
  return next;
}

}  // namespace shardlab::reference
