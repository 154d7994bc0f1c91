#include "policies/replay.h"

#include <algorithm>

namespace shardlab {

Replay::Replay(const Timeline& timeline, std::size_t jobs)
    : order_(timeline.devices.size()), ready_(jobs), present_(jobs) {
  std::vector<const UnitSpan*> by_start;
  for (const UnitSpan& span : timeline.units) by_start.push_back(&span);
  std::stable_sort(by_start.begin(), by_start.end(),
                   [](const UnitSpan* a, const UnitSpan* b) { return a->from < b->from; });
  for (const UnitSpan* span : by_start) {
    order_.at(index(span->device)).push_back({span->job, span->minibatch, span->unit});
  }
}

void Replay::ready(const Candidate& unit) {
  ready_.at(index(unit.job)) = unit;
  present_[index(unit.job)] = true;
}

void Replay::gone(JobId job) { present_[index(job)] = false; }

std::optional<JobId> Replay::pick(const DeviceView& device) {
  auto& order = order_.at(index(device.id));
  if (order.empty()) return std::nullopt;
  const Place next = order.front();
  const Candidate& unit = ready_[index(next.job)];
  const bool there =
      present_[index(next.job)] && unit.minibatch == next.minibatch && unit.unit == next.unit;
  if (!there) return std::nullopt;
  order.pop_front();
  return next.job;
}

}  // namespace shardlab
