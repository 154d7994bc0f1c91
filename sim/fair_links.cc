#include "sim/fair_links.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>
#include <utility>

#include "sched/link.h"

namespace shardlab {
namespace {

constexpr double kNotLimited = std::numeric_limits<double>::infinity();
constexpr std::array kDirections{Direction::kPromote, Direction::kDemote};

WinnerTree::Key key(Instant at) { return -at.time_since_epoch().count(); }
Instant first(const WinnerTree& tree) {
  return tree.empty() ? kNever : Instant{Duration{-tree.top()}};
}
double nanoseconds(Duration time) { return static_cast<double>(time.count()); }

/// Two for each device or switch.
std::size_t directed(std::size_t of, Direction direction) {
  return 2 * of + (direction == Direction::kDemote ? 1 : 0);
}

/// As std::push_heap, but what is new is written once and not read back: a wide load of what was
/// just written in parts stalls the core.
template <typename T, typename Later>
void push(std::vector<T>& heap, const T& item, Later later) {
  std::size_t at = heap.size();
  heap.emplace_back();
  for (std::size_t above; at > 0 && later(heap[above = (at - 1) / 2], item); at = above) {
    heap[at] = heap[above];
  }
  heap[at] = item;
}

/// The outermost switch above each.
std::vector<std::size_t> outermost(const std::vector<SwitchSpec>& switches) {
  std::vector<std::size_t> found(switches.size());
  for (std::size_t s = 0; s < switches.size(); ++s) {
    found[s] = s;
    while (switches[found[s]].parent != kNoSwitch) {
      found[s] = static_cast<std::size_t>(switches[found[s]].parent);
    }
  }
  return found;
}

}  // namespace

FairLinks::FairLinks(const Cluster& cluster) : joins_(0), ends_(0) {
  make_groups(cluster);
  for (Group& group : groups_) {
    for (std::size_t k = 0; k < group.kinds.size(); ++k) group.slowest_first.push_back(k);
    std::ranges::stable_sort(group.slowest_first, {},
                             [&](std::size_t k) { return group.kinds[k].bytes_per_second; });
  }
  joins_ = ends_ = WinnerTree(groups_.size());
}

void FairLinks::make_groups(const Cluster& cluster) {
  const auto& switches = cluster.switches;
  const std::vector<std::size_t> outer = outermost(switches);
  std::vector<bool> together(switches.size());
  for (std::size_t s = 0; s < switches.size(); ++s) {
    if (switches[s].together_bytes_per_second > 0) together[outer[s]] = true;
  }
  std::vector<std::size_t> group_of(2 * switches.size());  // By outermost switch and direction.
  for (std::size_t s = 0; s < switches.size(); ++s) {
    if (outer[s] != s) continue;
    for (const Direction direction : kDirections) {
      if (direction == Direction::kPromote || !together[s]) groups_.emplace_back();
      group_of[directed(s, direction)] = groups_.size() - 1;
    }
  }
  std::vector<std::vector<std::size_t>> own(2 * switches.size());  // Limits, in their group.
  for (std::size_t s = 0; s < switches.size(); ++s) {
    const auto limit = [&](double rate, std::span<const Direction> directions) {
      if (rate <= 0) return;
      auto& limits = groups_[group_of[directed(outer[s], directions.front())]].limits;
      for (const Direction direction : directions) {
        own[directed(s, direction)].push_back(limits.size());
      }
      limits.push_back({rate, 0, 0});
    };
    limit(switches[s].bytes_per_second, {kDirections.data(), 1});
    limit(switches[s].back_bytes_per_second, {kDirections.data() + 1, 1});
    limit(switches[s].together_bytes_per_second, kDirections);
  }
  for (const DeviceSpec& device : cluster.devices) {
    for (const Direction direction : kDirections) {
      if (device.parent == kNoSwitch) {
        places_.push_back({});
        continue;
      }
      std::vector<std::size_t> way;
      for (int up = device.parent; up != kNoSwitch;
           up = switches[static_cast<std::size_t>(up)].parent) {
        const auto& more = own[directed(static_cast<std::size_t>(up), direction)];
        way.insert(way.end(), more.begin(), more.end());
      }
      place(group_of[directed(outer[static_cast<std::size_t>(device.parent)], direction)],
            direction == Direction::kPromote ? device.link : device.link_back(), std::move(way));
    }
  }
}

/// The next of places_.
void FairLinks::place(std::size_t which, const LinkSpec& link, std::vector<std::size_t> way) {
  Group& group = groups_[which];
  const double rate = link.bytes_per_second > 0 ? link.bytes_per_second : kNotLimited;
  const auto same = std::ranges::find_if(group.kinds, [&](const Kind& kind) {
    return kind.bytes_per_second == rate && kind.latency == link.latency && kind.limits == way;
  });
  places_.push_back({which, static_cast<std::size_t>(same - group.kinds.begin())});
  if (same != group.kinds.end()) return;
  Kind& kind = group.kinds.emplace_back();
  kind.latency = link.latency;
  kind.bytes_per_second = rate;
  kind.per_work = rate < kNotLimited ? rate : 1e9;
  for (const std::size_t l : way) {
    kind.narrowest = std::max(kind.narrowest, kind.per_work / group.limits[l].bytes_per_second);
  }
  kind.limits = std::move(way);
}

bool FairLinks::begin(const Copy& copy, Instant now) {
  assert(now >= now_);
  now_ = now;
  const Place place = places_[directed(index(copy.device), copy.direction)];
  const Kind& kind = groups_[place.group].kinds[place.kind];
  if (kind.limits.empty() || copy.bytes == 0) return false;
  const Duration latency = std::min(copy.time, kind.latency);
  const auto bytes = static_cast<double>(copy.bytes);
  double work = nanoseconds(copy.time - latency), rounding = 0;
  if (kind.bytes_per_second == kNotLimited) {
    work = bytes;
  } else if (copy.time == latency + transfer_time(copy.bytes, kind.bytes_per_second)) {
    rounding = work - bytes / kind.bytes_per_second * 1e9;
  }
  if (latency == Duration{}) {
    join(place.group, place.kind, {work, rounding, copy.link});
    return true;
  }
  push(groups_[place.group].waiting,
       {now + latency, static_cast<std::uint32_t>(place.kind), {work, rounding, copy.link}},
       Later{});
  schedule_join(place.group);
  return true;
}

Instant FairLinks::next(Instant limit) {
  settle();
  while (true) {
    const Instant join = first(joins_), end = first(ends_);
    if (end <= join || join > limit) return end;
    now_ = join;
    join_first(joins_.winner());
    if (first(joins_) > now_) settle();
  }
}

std::span<const std::uint32_t> FairLinks::advance(Instant now) {
  now_ = now;
  passed_.clear();
  while (first(ends_) == now) end_due(ends_.winner());
  return passed_;
}

/// The copies of a group change now.
void FairLinks::change(std::size_t which) {
  Group& group = groups_[which];
  if (group.stale) return;
  group.stale = true;
  stale_.push_back(which);
  const double elapsed = nanoseconds(now_ - group.changed);
  for (Kind& kind : group.kinds) kind.done += elapsed / kind.slowness;
  group.changed = now_;
}

/// The copy uses bandwidth from now on; its mark is still its work.
void FairLinks::join(std::size_t which, std::size_t place, const Share& copy) {
  change(which);
  Kind& kind = groups_[which].kinds[place];
  if (kind.copies.empty()) {
    kind.done = 0;
    kind.slowness = 1;
  }
  const double kept = kind.slowness == 1 ? copy.rounding : 0;
  push(kind.copies, {kind.done + (copy.mark - (copy.rounding - kept)), kept, copy.link}, Later{});
}

void FairLinks::join_first(std::size_t which) {
  auto& waiting = groups_[which].waiting;
  std::ranges::pop_heap(waiting, Later{});
  join(which, waiting.back().kind, waiting.back().copy);
  waiting.pop_back();
  schedule_join(which);
}

void FairLinks::schedule_join(std::size_t which) {
  const auto& waiting = groups_[which].waiting;
  joins_.set(which, waiting.empty() ? WinnerTree::kAbsent : key(waiting.front().until));
}

/// All copies of the group that end now.
void FairLinks::end_due(std::size_t which) {
  change(which);
  Group& group = groups_[which];
  for (Kind& kind : group.kinds) {
    while (kind.end == now_) {
      std::ranges::pop_heap(kind.copies, Later{});
      passed_.push_back(kind.copies.back().link);
      kind.copies.pop_back();
      find_end(kind, now_);
    }
  }
  ends_.clear(which);
}

void FairLinks::settle() {
  for (const std::size_t which : stale_) {
    Group& group = groups_[which];
    group.stale = false;
    if (group.kinds.size() == 1) {
      fill_alone(group.kinds.front());
    } else {
      fill(group);
    }
    Instant end = kNever;
    for (Kind& kind : group.kinds) {
      find_end(kind, now_);
      end = std::min(end, kind.end);
    }
    ends_.set(which, end == kNever ? WinnerTree::kAbsent : key(end));
  }
  stale_.clear();
}

/// As fill() does, where all copies are alike.
void FairLinks::fill_alone(Kind& kind) {
  if (kind.copies.empty()) return;
  const double least = kind.bytes_per_second < kNotLimited ? 1 : 0;
  set_slowness(kind, std::max(least, kind.narrowest * static_cast<double>(kind.count())));
}

/// Raises all rates together; a copy stops at its link's own rate or when a limit is reached.
void FairLinks::fill(Group& group) {
  for (Limit& limit : group.limits) {
    limit.left = limit.bytes_per_second;
    limit.open = 0;
  }
  for (Kind& kind : group.kinds) {
    kind.open = !kind.copies.empty();
    for (const std::size_t l : kind.limits) group.limits[l].open += kind.count();
  }
  for (const std::size_t k : group.slowest_first) {
    while (group.kinds[k].open) {
      const auto [level, tightest] = tightest_limit(group);
      if (group.kinds[k].bytes_per_second <= level) {
        give(group, group.kinds[k], group.kinds[k].bytes_per_second);
        break;
      }
      for (Kind& kind : group.kinds) {
        if (kind.open && std::ranges::find(kind.limits, tightest) != kind.limits.end()) {
          give(group, kind, level);
        }
      }
    }
  }
}

/// How far rates can rise, and which limit stops them.
FairLinks::Level FairLinks::tightest_limit(const Group& group) {
  Level found{kNotLimited, 0};
  for (std::size_t l = 0; l < group.limits.size(); ++l) {
    const Limit& limit = group.limits[l];
    if (limit.open == 0) continue;
    const double share = limit.left / static_cast<double>(limit.open);
    if (share < found.bytes_per_second) found = {share, l};
  }
  return found;
}

void FairLinks::give(Group& group, Kind& kind, double bytes_per_second) {
  kind.open = false;
  for (const std::size_t l : kind.limits) {
    group.limits[l].left -= static_cast<double>(kind.count()) * bytes_per_second;
    group.limits[l].open -= kind.count();
  }
  set_slowness(kind, kind.per_work / bytes_per_second);
}

void FairLinks::set_slowness(Kind& kind, double slowness) {
  if (kind.slowness == slowness) return;
  if (kind.slowness == 1) {
    for (Share& share : kind.copies) share.mark -= std::exchange(share.rounding, 0);
    std::ranges::make_heap(kind.copies, Later{});
  }
  kind.slowness = slowness;
}

/// Requires: its clock is that of now.
void FairLinks::find_end(Kind& kind, Instant now) {
  if (kind.copies.empty()) {
    kind.end = kNever;
  } else {
    const double left = std::max(0.0, kind.copies.front().mark - kind.done);
    kind.end = now + whole(left * kind.slowness);
  }
}

}  // namespace shardlab
