#include "report/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "report/table.h"

namespace shardlab {
namespace {

enum State {
  kBusy,
  kReducing,
  kCopying,
  kDispatch,
  kWaitingForCopy,
  kWaitingForMemory,
  kOccupied,
  kStates
};

struct Change {
  Instant at;
  State state{};
  int by = 0;
};

/// The beginnings and ends of what happens on one device.
struct Changes {
  std::vector<Change> all;
  Instant makespan;
  Instant last;  // The lane's last unit or copy ends.

  void add(State state, Instant from, Instant to) {
    from = std::clamp(from, Instant{}, makespan);
    to = std::min(to, makespan);
    if (to <= from) return;
    all.push_back({from, state, 1});
    all.push_back({to, state, -1});
    if (state == kCopying) last = std::max(last, to);
  }

  void add(const UnitSpan& span) {
    // Measured times of different threads may cross by some nanoseconds.
    const Instant reserved =
        std::clamp(span.reserved, span.claimed, std::max(span.claimed, span.from));
    const Instant arrived = std::clamp(span.arrived, reserved, std::max(reserved, span.from));
    // Claimed ahead: until the unit before it is done, nothing is ready.
    const Instant ready = std::max(span.ready, span.claimed);
    add(kWaitingForMemory, ready, reserved);
    add(kWaitingForCopy, std::max(ready, reserved), arrived);
    add(kDispatch, arrived, span.from);
    add(span.kind == UnitKind::kReduce ? kReducing : kBusy, span.from, span.to);
    add(kOccupied, span.claimed, span.to);
    last = std::max(last, std::min(span.to, makespan));
  }
};

Duration& part(LaneTime& lane, const std::array<int, kStates>& active, bool over) {
  if (active[kBusy] > 0) return lane.busy;
  if (active[kReducing] > 0) return lane.reducing;
  if (active[kCopying] > 0) return lane.copying;
  if (over) return lane.tail;
  if (active[kDispatch] > 0) return lane.dispatch;
  if (active[kWaitingForCopy] > 0) return lane.waiting_for_copy;
  if (active[kWaitingForMemory] > 0) return lane.waiting_for_memory;
  return lane.waiting_for_job;
}

/// Walks over the changes in order of time; between two nothing changes.
void sum_up(Changes& changes, DeviceMetrics& device) {
  for (const Instant at : {changes.last, changes.makespan}) changes.all.push_back({at, kBusy, 0});
  std::sort(changes.all.begin(), changes.all.end(),
            [](const Change& a, const Change& b) { return a.at < b.at; });
  std::array<int, kStates> active{};
  Instant now{};
  for (const Change& change : changes.all) {
    part(device.lane, active, now >= changes.last) += change.at - now;
    if (active[kOccupied] > 0) device.occupied += change.at - now;
    now = change.at;
    active[change.state] += change.by;
  }
}

double mean(const Metrics& metrics, Duration (*part)(const DeviceMetrics&)) {
  double sum = 0;
  for (const DeviceMetrics& device : metrics.devices) sum += metrics.fraction(part(device));
  return metrics.devices.empty() ? 0 : sum / static_cast<double>(metrics.devices.size());
}

Idle idle(const std::vector<LaneTime>& lanes, Instant makespan) {
  LaneTime sum;
  for (const LaneTime& lane : lanes) sum += lane;
  const auto share = [&](Duration part) {
    return makespan > Instant{} && !lanes.empty()
               ? seconds(part) / seconds(makespan) / static_cast<double>(lanes.size())
               : 0;
  };
  return {share(sum.copying),
          share(sum.waiting_for_copy),
          share(sum.waiting_for_memory),
          share(sum.waiting_for_job),
          share(sum.dispatch),
          share(sum.tail),
          share(sum.reducing),
          share(sum.lost),
          share(sum.absent)};
}

}  // namespace

double Metrics::fraction(Duration part) const {
  return makespan > Instant{} ? seconds(part) / seconds(makespan) : 0;
}

double Metrics::busy() const {
  return mean(*this, [](const DeviceMetrics& device) { return device.lane.busy; });
}
double Metrics::occupied() const {
  return mean(*this, [](const DeviceMetrics& device) { return device.occupied; });
}
double Metrics::useful() const {
  return mean(*this, [](const DeviceMetrics& device) { return device.useful; });
}

Bytes Metrics::bytes_moved() const {
  Bytes sum = 0;
  for (const DeviceMetrics& device : devices) sum += device.promoted + device.demoted;
  return sum;
}

double Metrics::overhead() const {
  if (devices.empty() || makespan <= Instant{}) return 0;
  return 1 - fraction(unit_time) / static_cast<double>(devices.size());
}

Utilization utilization(const Outcome& outcome) {
  const auto share = [&](const std::vector<Duration>& parts) {
    const Duration sum = std::accumulate(parts.begin(), parts.end(), Duration{});
    const double all = static_cast<double>(parts.size()) * seconds(outcome.makespan);
    return all > 0 ? seconds(sum) / all : 0;
  };
  const double busy = share(outcome.busy);
  return {share(outcome.occupied), busy, busy - share(outcome.recompute)};
}

Idle idle(const Outcome& outcome) { return idle(outcome.lanes, outcome.makespan); }

Idle idle(const Metrics& metrics) {
  std::vector<LaneTime> lanes;
  for (const DeviceMetrics& device : metrics.devices) lanes.push_back(device.lane);
  return idle(lanes, metrics.makespan);
}

std::string idle_text(const Idle& idle) {
  std::string text = fmt::format(
      "lane copies {}, waiting for a copy {}, for memory {}, for a job {}, dispatch {}, tail at "
      "the end {}",
      format_percent(idle.copying), format_percent(idle.waiting_for_copy),
      format_percent(idle.waiting_for_memory), format_percent(idle.waiting_for_job),
      format_percent(idle.dispatch), format_percent(idle.tail));
  const std::pair<const char*, double> seldom[] = {
      {"reducing gradients", idle.reducing}, {"units lost", idle.lost}, {"absent", idle.absent}};
  for (const auto& [what, share] : seldom) {
    if (share > 0) text += fmt::format(", {} {}", what, format_percent(share));
  }
  return text;
}

std::optional<CompletionTimes> completion_times(const std::vector<JobEnd>& jobs) {
  std::vector<double> times;
  for (const JobEnd& end : jobs) {
    if (end.completed) times.push_back(seconds(end.at - end.arrived));
  }
  if (times.empty()) return {};
  std::sort(times.begin(), times.end());
  const auto rank = static_cast<std::size_t>(std::ceil(0.95 * static_cast<double>(times.size())));
  return CompletionTimes{
      std::reduce(times.begin(), times.end()) / static_cast<double>(times.size()), times[rank - 1],
      times.back()};
}

Metrics metrics(const Timeline& timeline) {
  Metrics result;
  result.makespan = timeline.makespan;
  result.devices.resize(timeline.devices.size());
  std::vector<Changes> changes(timeline.devices.size(), Changes{{}, timeline.makespan, {}});
  for (const UnitSpan& span : timeline.units) {
    DeviceMetrics& device = result.devices[index(span.device)];
    changes[index(span.device)].add(span);
    device.useful -= span.recompute;
    ++device.units;
    if (span.kind != UnitKind::kReduce) result.unit_time += span.to - span.from;
  }
  for (const CopySpan& span : timeline.copies) {
    DeviceMetrics& device = result.devices[index(span.device)];
    changes[index(span.device)].add(kCopying, span.lane_from, span.lane_to);
    if (span.direction == Direction::kPromote) device.promoted += span.bytes;
    if (span.direction == Direction::kDemote) device.demoted += span.bytes;
  }
  for (std::size_t d = 0; d < changes.size(); ++d) {
    DeviceMetrics& device = result.devices[d];
    sum_up(changes[d], device);
    if (!timeline.lanes.empty()) {
      device.lane = timeline.lanes[d];
      device.occupied = timeline.occupied[d];
    }
    device.useful = std::max(device.useful + device.lane.busy, Duration{});
  }
  return result;
}

}  // namespace shardlab
