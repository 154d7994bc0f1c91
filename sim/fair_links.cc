#include "sim/fair_links.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "sched/link.h"

namespace shardlab {
namespace {

WinnerTree::Key key(Instant at) { return at.time_since_epoch().count(); }
Instant first(const WinnerTree& tree) {
  static_assert(Instant{Duration{WinnerTree::kAbsent}} == kNever);
  return Instant{Duration{tree.top()}};
}
double nanoseconds(Duration time) { return static_cast<double>(time.count()); }

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

}  // namespace

[[gnu::flatten]] bool FairLinks::begin(const Copy& copy, Instant now) {
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

void FairLinks::cancel(std::uint32_t link, DeviceId device, Direction direction, Instant now) {
  assert(now >= now_);
  now_ = now;
  const Place place = places_[directed(index(device), direction)];
  Group& group = groups_[place.group];
  const auto it = [link](const Share& copy) { return copy.link == link; };
  if (std::erase_if(group.waiting, [&](const Waiting& each) { return it(each.copy); }) > 0) {
    std::ranges::make_heap(group.waiting, Later{});
    schedule_join(place.group);
    return;
  }
  auto& copies = group.kinds[place.kind].copies;
  if (std::ranges::none_of(copies, it)) return;  // It shares nothing.
  change(place.group);
  std::erase_if(copies, it);
  std::ranges::make_heap(copies, Later{});
}

[[gnu::flatten]] Instant FairLinks::next(Instant limit) {
  settle();
  while (true) {
    const Instant join = first(joins_), end = first(ends_);
    if (end <= join || join > limit) return end;
    now_ = join;
    join_first(joins_.winner());
    if (first(joins_) > now_) settle();
  }
}

[[gnu::flatten]] std::span<const std::uint32_t> FairLinks::advance(Instant now) {
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
  joins_.set(which, key(waiting.empty() ? kNever : waiting.front().until));
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
    ends_.set(which, key(end));
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
