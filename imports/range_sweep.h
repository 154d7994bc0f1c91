#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

namespace shardlab {

/// An instant of a thread, to be found within ranges of that thread.
struct SweepPoint {
  std::uint32_t thread = 0;
  std::int64_t at_ns = 0;
  std::size_t index = 0;  ///< The caller's.
};

/// By thread and start, outer ones first. Ranges have thread, start_ns and end_ns, which is still
/// in them.
template <typename Range>
void sort_for_sweep(std::vector<Range>& ranges) {
  std::ranges::sort(ranges, {}, [](const Range& range) {
    return std::tuple(range.thread, range.start_ns, -range.end_ns);
  });
}

/// Calls `visit(index, holding)` for every point, where `holding` are the places of the ranges that
/// hold it, outermost first. Requires ranges as sort_for_sweep() leaves them; sorts the points.
template <typename Range, typename Visit>
void sweep(const std::vector<Range>& ranges, std::vector<SweepPoint>& points, const Visit& visit) {
  std::ranges::sort(points, {}, [](const SweepPoint& point) {
    return std::tuple(point.thread, point.at_ns, point.index);
  });
  std::vector<std::size_t> open;
  std::size_t next = 0;
  for (const SweepPoint& point : points) {
    const auto begun = [&](const Range& range) {
      return std::tuple(range.thread, range.start_ns) <= std::tuple(point.thread, point.at_ns);
    };
    for (; next < ranges.size() && begun(ranges[next]); ++next) open.push_back(next);
    // What overlaps without being nested may end below what is still open.
    std::erase_if(open, [&](std::size_t r) {
      return ranges[r].thread != point.thread || ranges[r].end_ns < point.at_ns;
    });
    visit(point.index, std::span<const std::size_t>(open));
  }
}

}  // namespace shardlab
