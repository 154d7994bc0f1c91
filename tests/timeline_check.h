#pragma once

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/timeline.h"
#include "sched/ledger.h"
#include "sched/program.h"

/// What every timeline must satisfy, whatever the policy: for simulated and measured ones alike.
namespace shardlab {

/// Every unit once, in the order of its track and after all that it waits for, and never two things
/// at a time on one lane or link direction.
inline void expect_valid(const Timeline& timeline, const Program& program) {
  using Stretch = std::pair<Instant, Instant>;
  std::map<std::pair<std::size_t, int>, std::vector<Stretch>> lanes;
  const Ledger ledger(program);
  std::vector<std::int64_t> next(ledger.tracks());
  std::vector<Instant> last_end(ledger.tracks());
  std::vector<std::map<std::pair<std::int64_t, std::uint32_t>, Instant>> ends(program.jobs.size());
  for (const UnitSpan& span : timeline.units) {
    const std::size_t j = index(span.job);
    const Unit& unit = program.jobs[j].units[span.unit];
    const Track track = tracks_of(program.jobs[j])[unit.track];
    const std::size_t t = index(ledger.track_of(span.job, unit));
    ASSERT_EQ(span.minibatch * track.count + span.unit - track.first, next[t]++) << "job " << j;
    ASSERT_GE(span.from, last_end[t]) << "job " << j << " runs two units of a track at once";
    for (const Dependency& on : unit.after) {
      if (span.minibatch < on.lag) continue;
      const auto done = ends[j].find({span.minibatch - on.lag, on.unit});
      ASSERT_TRUE(done != ends[j].end() && done->second <= span.from) << "job " << j;
    }
    ends[j][{span.minibatch, span.unit}] = span.to;
    ASSERT_LE(span.claimed, span.from);
    ASSERT_LE(span.reserved, span.from);
    ASSERT_LE(span.arrived, span.from);
    last_end[t] = span.to;
    ASSERT_TRUE(unit.bound == kNoDevice || unit.bound == span.device);
    lanes[{index(span.device), 0}].push_back({span.from, span.to});
  }
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    if (!timeline.ends[j].completed) continue;
    EXPECT_EQ(ends[j].size(),
              program.jobs[j].units.size() * static_cast<std::size_t>(program.jobs[j].minibatches));
  }
  constexpr int kHost = 9;  // Of one node.
  for (const CopySpan& span : timeline.copies) {
    if (span.step_from > Instant{}) lanes[{0, kHost}].push_back({span.step_from, span.done});
    lanes[{index(span.device), 0}].push_back({span.lane_from, span.lane_to});
    const int direction = 1 + static_cast<int>(span.direction);
    const DeviceId of = span.direction == Direction::kPeer ? span.source : span.device;
    lanes[{index(of), direction}].push_back({span.link_from, span.link_to});
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

/// No unit starts while something that it reads is on its way to its device. Of simulated ones.
inline void expect_inputs_first(const Timeline& timeline, const Program& program) {
  using What = std::tuple<JobId, DeviceId, ItemKind, int, int, int>;
  std::map<What, std::vector<const CopySpan*>> coming;
  for (const CopySpan& copy : timeline.copies) {
    if (copy.direction == Direction::kDemote) continue;
    coming[{copy.job, copy.device, copy.item, copy.shard, copy.microbatch, copy.replica}].push_back(
        &copy);
  }
  for (const UnitSpan& span : timeline.units) {
    const JobProgram& job = program.jobs[index(span.job)];
    for (const ItemIndex i : job.units[span.unit].reads) {
      const Item& item = job.items[i];
      for (const CopySpan* copy :
           coming[{span.job, span.device, item.kind, item.shard, item.microbatch, item.replica}]) {
        ASSERT_FALSE(copy->asked < span.from && span.from < copy->done)
            << "job " << index(span.job) << ", unit " << span.unit;
      }
    }
  }
}

}  // namespace shardlab
