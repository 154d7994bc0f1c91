#include <algorithm>
#include <utility>

#include "tests/reference_memory.h"

/// What is asked to move between memories, and what follows when it has.
namespace shardlab::reference {

/// What a claim lacks comes from the host, or straight from the device that has the newest.
void Memory::fetch(const Place& to) {
  const std::pair what(to.job, to.item);
  if (changing_.contains(what)) return;
  if (in_host_.contains(what)) return promote(to);
  for (auto& [from, copy] : copies_) {
    const bool newest = from.job == to.job && from.item == to.item && copy.dirty &&
                        copy.stage == Stage::kThere && !copy.stale && !copy.moving();
    if (newest && direct(cluster_, from.device, to.device)) return send(from, to);
  }
}

/// At once, if its place there waits for it or is set aside.
void Memory::hand_over(const Place& from, std::size_t reader) {
  const Place to{from.job, reader, from.item};
  if (held(from.job)) bring(to.job, to.item, reader, false);
  if (!copies_.contains(to) || copies_.at(to).stage != Stage::kRoom) return;
  if (!copies_.at(from).sending) send(from, to);
}

void Memory::send(const Place& from, const Place& to) {
  copies_.at(from).sending = true;
  copies_.at(to).stage = Stage::kArriving;
  asked.push_back({to.job, to.device, to.item, Direction::kPeer, from.device});
}

/// What a device sent, it has no more.
void Memory::sent(const Move& move, const std::vector<Claim>& claims) {
  const Place from{move.job, move.source, move.item}, to{move.job, move.device, move.item};
  Copy& source = copies_.at(from);
  Copy& arrived = copies_.at(to);
  arrived.stage = Stage::kThere;
  source.sending = false;
  if (!arrived.stale) {
    arrived.dirty = true;
    source.dirty = false;
  }
  arrived.last_use = ++uses_;
  source.last_use = ++uses_;
  const bool gone = !arrived.stale || source.stale;
  if (arrived.stale && !needed(to, claims)) copies_.erase(to);
  if (gone && !needed(from, claims)) copies_.erase(from);
  if (forgotten_.contains(move.job)) free_set_aside(move.job);
  if (!gone || forgotten_.contains(move.job)) return;
  for (auto& [place, other] : copies_) {  // Whose claim wants it by now.
    const bool same = place.job == move.job && place.item == move.item;
    if (same && other.stage == Stage::kRoom && needed(place, claims)) fetch(place);
  }
}

void Memory::promote(const Place& place) {
  copies_[place].stage = Stage::kArriving;
  // "An item is in the host memory of the node that loaded it or wrote it back last."
  const std::string& here = cluster_.devices[place.device].node;
  const std::string& home = node_.try_emplace({place.job, place.item}, here).first->second;
  const bool remote = home != here && fault_ != Fault::kNodesShareOneHost;
  const Copy& copy = copies_[place];
  asked.push_back({copy.job, place.device, copy.item, Direction::kPromote, 0, remote});
}

void Memory::demote(const Place& place) {
  copies_[place].leaving = true;
  const bool gradient = copies_[place].stage == Stage::kGradient;
  asked.push_back({place.job, place.device, place.item, Direction::kDemote, 0, false, gradient});
}

void Memory::moved(const Move& move, const std::vector<Claim>& claims) {
  if (move.direction == Direction::kPeer) return sent(move, claims);
  const Place here = place(move.job, move.device, move.item);
  Copy& copy = copies_.at(here);
  copy.last_use = ++uses_;
  if (move.direction == Direction::kPromote) copy.stage = Stage::kThere;
  if (move.direction == Direction::kDemote) copy.leaving = false;
  if (copy.stale) {
    if (!needed(here, claims)) copies_.erase(here);
    if (forgotten_.contains(move.job)) free_set_aside(move.job);
  } else if (move.direction == Direction::kDemote) {
    copy.dirty = false;
    if (move.gradient) {  // The host has the next version, the device nothing.
      copy.stage = Stage::kRoom;
      if (!needed(here, claims)) copies_.erase(here);
    }
    in_host_.insert({move.job, move.item});
    node_[{move.job, move.item}] = cluster_.devices[move.device].node;
    for (auto& [place, other] : copies_) {  // Who waited for it.
      const bool same = place.job == move.job && place.item == move.item;
      if (same && other.stage == Stage::kRoom) promote(place);
    }
  }
}

}  // namespace shardlab::reference
