#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "sim/fair_links.h"

/// How FairLinks groups the links of a cluster.
namespace shardlab {
namespace {

constexpr std::array kDirections{Direction::kPromote, Direction::kDemote};

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
  const std::vector<std::size_t> outer = outermost(cluster.switches);
  const Directed group_of = add_groups(cluster.switches, outer);
  const std::vector<Way> ways = add_limits(cluster.switches, outer, group_of);
  for (const DeviceSpec& device : cluster.devices) {
    for (const Direction direction : kDirections) {
      if (device.parent == kNoSwitch) {
        places_.push_back({});
        continue;
      }
      const auto parent = static_cast<std::size_t>(device.parent);
      place(group_of[directed(outer[parent], direction)],
            direction == Direction::kPromote ? device.link : device.link_back(),
            ways[directed(parent, direction)]);
    }
  }
  for (Group& group : groups_) {
    for (std::size_t k = 0; k < group.kinds.size(); ++k) group.slowest_first.push_back(k);
    std::ranges::stable_sort(group.slowest_first, {},
                             [&](std::size_t k) { return group.kinds[k].bytes_per_second; });
  }
  joins_ = ends_ = WinnerTree(groups_.size());
}

/// By outermost switch and direction: both have the same where a switch limits them together.
FairLinks::Directed FairLinks::add_groups(const std::vector<SwitchSpec>& switches,
                                          const std::vector<std::size_t>& outer) {
  std::vector<bool> together(switches.size());
  for (std::size_t s = 0; s < switches.size(); ++s) {
    if (switches[s].together_bytes_per_second > 0) together[outer[s]] = true;
  }
  Directed group_of(2 * switches.size());
  for (std::size_t s = 0; s < switches.size(); ++s) {
    if (outer[s] != s) continue;
    for (const Direction direction : kDirections) {
      if (direction == Direction::kPromote || !together[s]) groups_.emplace_back();
      group_of[directed(s, direction)] = groups_.size() - 1;
    }
  }
  return group_of;
}

/// Returns, by switch and direction, the limits from there up.
std::vector<FairLinks::Way> FairLinks::add_limits(const std::vector<SwitchSpec>& switches,
                                                  const std::vector<std::size_t>& outer,
                                                  const Directed& group_of) {
  std::vector<Way> own(2 * switches.size()), ways(own.size());
  for (std::size_t s = 0; s < switches.size(); ++s) {
    const auto add = [&](double rate, std::span<const Direction> directions) {
      if (rate <= 0) return;
      auto& limits = groups_[group_of[directed(outer[s], directions.front())]].limits;
      for (const Direction direction : directions) {
        own[directed(s, direction)].push_back(limits.size());
      }
      limits.push_back({rate, 0, 0});
    };
    add(switches[s].bytes_per_second, {kDirections.data(), 1});
    add(switches[s].back_bytes_per_second, {kDirections.data() + 1, 1});
    add(switches[s].together_bytes_per_second, kDirections);
  }
  for (std::size_t s = 0; s < switches.size(); ++s) {
    for (int up = static_cast<int>(s); up != kNoSwitch;) {
      const auto above = static_cast<std::size_t>(up);
      for (const Direction direction : kDirections) {
        const Way& more = own[directed(above, direction)];
        Way& way = ways[directed(s, direction)];
        way.insert(way.end(), more.begin(), more.end());
      }
      up = switches[above].parent;
    }
  }
  return ways;
}

/// The next of places_.
void FairLinks::place(std::size_t which, const LinkSpec& link, const Way& way) {
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
  kind.limits = way;
}

}  // namespace shardlab
