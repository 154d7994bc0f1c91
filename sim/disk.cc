#include "sim/disk.h"

#include <algorithm>
#include <utility>

namespace shardlab {

Disk::Disk(const Program& program, const Cluster& cluster, Costs* costs)
    : spec_(cluster.disk.value()), costs_(costs), memory_(program, cluster.host_memory) {}

void Disk::start(const Transfer& transfer) {
  waiting_.push_back(transfer);
  changed_ = true;
}

void Disk::finished(TransferId id) {
  if (id >= users_.size() || !users_[id].uses) return;
  users_[id].uses = false;
  memory_.leave(users_[id].place, users_[id].fills);
  changed_ = true;
}

/// A read under way comes to its end, for nobody.
void Disk::lose(DeviceId device) {
  const auto of_device = [&](const auto& transfer) { return transfer.device == device; };
  std::erase_if(waiting_, of_device);
  std::erase_if(ready_, of_device);
  std::erase_if(reading_, [&](const Reading& each) { return of_device(each.transfer); });
  for (User& user : users_) {
    if (!user.uses || user.device != device) continue;
    user.uses = false;
    memory_.leave(user.place, false);
  }
  changed_ = true;
}

void Disk::changed(JobId job, const Unit& unit) {
  for (const ItemIndex item : unit.writes) memory_.changed(memory_.place(job, item));
}

void Disk::restore(JobId job, const JobProgram& program) {
  for (ItemIndex i = 0; i < program.items.size(); ++i) {
    if (program.items[i].lasting) memory_.restore(memory_.place(job, i));
  }
}

Instant Disk::next() const {
  Instant next = kNever;
  for (const Queue* queue : {&reads_, &writes_}) {
    if (!queue->passing.empty()) next = std::min(next, queue->passing.front().to);
  }
  return next;
}

std::span<const Transfer> Disk::ready(Instant now) {
  ready_.clear();
  end_due(now);
  while (std::exchange(changed_, false)) {
    bool room = true;  // None is overtaken by others that want room.
    std::erase_if(waiting_, [&](const Transfer& transfer) { return ask(transfer, now, room); });
    for (const HostMemory::Place place : memory_.writes()) {
      pass(writes_, place, Direction::kDemote, now);
      moved_.written += memory_.bytes(place);
    }
    memory_.writes().clear();
    end_due(now);  // What takes no time.
  }
  return ready_;
}

/// Returns whether it waits no more.
bool Disk::ask(const Transfer& transfer, Instant now, bool& room) {
  const HostMemory::Place place = memory_.place(transfer.job, transfer.item);
  if (!room && !memory_.has_room(place)) return false;
  const bool fills = transfer.direction == Direction::kDemote;
  switch (fills ? memory_.want_room(place) : memory_.want(place)) {
    case HostMemory::Answer::kNoRoom:
      room = false;
      return false;
    case HostMemory::Answer::kMoves:
      return false;
    case HostMemory::Answer::kThere:
      ready_.push_back(transfer);
      break;
    case HostMemory::Answer::kRead:
      pass(reads_, place, Direction::kPromote, now);
      moved_.read += memory_.bytes(place);
      reading_.push_back({transfer, place});
      break;
  }
  set_use(transfer, place);
  return true;
}

void Disk::set_use(const Transfer& transfer, HostMemory::Place place) {
  users_.resize(std::max<std::size_t>(users_.size(), transfer.id + 1));
  users_[transfer.id] = {place, transfer.device, transfer.direction == Direction::kDemote, true};
}

void Disk::pass(Queue& queue, HostMemory::Place place, Direction direction, Instant now) {
  const LinkSpec& spec = direction == Direction::kPromote ? spec_.read : spec_.write;
  Duration time = transfer_time(memory_.bytes(place), spec);
  if (costs_ != nullptr) time = costs_->disk_copy(place, direction, time);
  queue.passing.push_back({place, queue.link.pass(now, time).to});
}

void Disk::end_due(Instant now) {
  const auto take = [&](Queue& queue, const auto& end) {
    for (auto& passing = queue.passing; !passing.empty() && passing.front().to <= now;) {
      end(passing.front().place);
      passing.pop_front();
      changed_ = true;
    }
  };
  take(writes_, [&](HostMemory::Place place) { memory_.written(place); });
  take(reads_, [&](HostMemory::Place place) {
    memory_.arrived(place);
    const auto by = std::ranges::find(reading_, place, &Reading::place);
    if (by == reading_.end()) return;  // Its device was lost.
    ready_.push_back(by->transfer);
    reading_.erase(by);
  });
}

}  // namespace shardlab
