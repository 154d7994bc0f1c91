#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/timeline.h"

namespace shardlab {

/// A timeline of small integers, put together span by span.
struct HandMade {
  Timeline timeline;

  HandMade(std::vector<std::string> jobs, std::vector<std::string> devices, std::int64_t makespan) {
    timeline.plan = "by hand";
    timeline.source = "simulated";
    timeline.jobs = std::move(jobs);
    timeline.devices = std::move(devices);
    timeline.makespan = Instant(Duration(makespan));
  }

  /// Claimed, reserved, arrived, from, to.
  UnitSpan& unit(std::uint32_t device, std::uint32_t job, UnitKind kind,
                 const std::array<std::int64_t, 5>& times) {
    UnitSpan span;
    span.job = JobId{job};
    span.device = DeviceId{device};
    span.kind = kind;
    Instant* const fields[] = {&span.claimed, &span.reserved, &span.arrived, &span.from, &span.to};
    for (std::size_t i = 0; i < 5; ++i) *fields[i] = Instant(Duration(times[i]));
    return timeline.units.emplace_back(span);
  }

  /// Claimed when it begins.
  UnitSpan& unit(std::uint32_t device, std::uint32_t job, UnitKind kind, std::int64_t from,
                 std::int64_t to) {
    return unit(device, job, kind, {from, from, from, from, to});
  }

  /// A copy that the lane does from `from` to `to`.
  CopySpan& lane_copy(std::uint32_t device, std::uint32_t job, Direction direction, Bytes bytes,
                      std::int64_t from, std::int64_t to) {
    CopySpan span;
    span.job = JobId{job};
    span.device = DeviceId{device};
    span.direction = direction;
    span.bytes = bytes;
    span.asked = span.link_from = span.link_to = span.lane_from = Instant(Duration(from));
    span.lane_to = span.done = Instant(Duration(to));
    return timeline.copies.emplace_back(span);
  }
};

}  // namespace shardlab
