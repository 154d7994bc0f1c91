#pragma once

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/timeline.h"
#include "sched/program.h"

/// What every timeline must satisfy, whatever the policy: for simulated and measured ones alike.
namespace shardlab {

/// Every unit once, in the order of its job, and never two things at a time on one lane or link
/// direction.
inline void expect_valid(const Timeline& timeline, const Program& program) {
  using Stretch = std::pair<Instant, Instant>;
  std::map<std::pair<std::size_t, int>, std::vector<Stretch>> lanes;
  std::vector<std::int64_t> next(program.jobs.size());
  std::vector<Instant> last_end(program.jobs.size());
  for (const UnitSpan& span : timeline.units) {
    const std::size_t j = index(span.job);
    const auto units = static_cast<std::int64_t>(program.jobs[j].units.size());
    ASSERT_EQ(span.minibatch * units + span.unit, next[j]++) << "job " << j;
    ASSERT_GE(span.from, last_end[j]) << "job " << j << " runs two units at once";
    ASSERT_LE(span.claimed, span.from);
    ASSERT_LE(span.reserved, span.from);
    last_end[j] = span.to;
    const DeviceId bound = program.jobs[j].units[span.unit].bound;
    ASSERT_TRUE(bound == kNoDevice || bound == span.device);
    lanes[{index(span.device), 0}].push_back({span.from, span.to});
  }
  for (std::size_t j = 0; j < next.size(); ++j) {
    const auto units = static_cast<std::int64_t>(program.jobs[j].units.size());
    if (!timeline.ends[j].completed) continue;
    EXPECT_EQ(next[j], units * program.jobs[j].minibatches);
  }
  for (const CopySpan& span : timeline.copies) {
    lanes[{index(span.device), 0}].push_back({span.lane_from, span.lane_to});
    const int direction = span.direction == Direction::kPromote ? 1 : 2;
    lanes[{index(span.device), direction}].push_back({span.link_from, span.link_to});
  }
  for (auto& [lane, stretches] : lanes) {
    std::sort(stretches.begin(), stretches.end());
    for (std::size_t i = 1; i < stretches.size(); ++i) {
      if (stretches[i].first == stretches[i].second) continue;
      ASSERT_GE(stretches[i].first, stretches[i - 1].second)
          << "overlap on device " << lane.first << ", lane " << lane.second;
    }
  }
  for (std::size_t d = 0; d < timeline.budget.size(); ++d) {
    EXPECT_LE(timeline.peak[d], timeline.budget[d]) << "device " << d;
  }
}

}  // namespace shardlab
