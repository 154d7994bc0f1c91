#include "policies/replay.h"

#include <algorithm>

namespace shardlab {

Replay::Replay(const Timeline& timeline, std::size_t jobs)
    : order_(timeline.devices.size()),
      ready_(jobs),
      present_(jobs),
      first_device_(jobs, kNoDevice) {
  // Not by start: a device may start what it claimed later, while earlier claims wait for copies.
  std::vector<const UnitSpan*> by_claim;
  for (const UnitSpan& span : timeline.units) by_claim.push_back(&span);
  std::sort(by_claim.begin(), by_claim.end(),
            [](const UnitSpan* a, const UnitSpan* b) { return a->claim < b->claim; });
  std::vector<Instant> previous_end(jobs);  // A job's units are claimed in their order.
  for (const UnitSpan* span : by_claim) {
    DeviceId& first = first_device_.at(index(span->job));
    if (first == kNoDevice) first = span->device;
    Instant& previous = previous_end.at(index(span->job));
    order_.at(index(span->device))
        .push_back({span->job, span->minibatch, span->unit, span->claimed < previous});
    previous = span->to;
  }
}

void Replay::ready(const Candidate& unit) {
  ready_.at(index(unit.job)) = unit;
  present_[index(unit.job)] = true;
}

void Replay::gone(JobId job) { present_[index(job)] = false; }

JobId Replay::pick(const DeviceView& device) {
  auto& order = order_.at(index(device.id));
  if (order.empty()) return kNoJob;
  const Place next = order.front();
  const Candidate& unit = ready_[index(next.job)];
  const bool there =
      present_[index(next.job)] && unit.minibatch == next.minibatch && unit.unit == next.unit;
  if (!there || (unit.ahead && !next.ahead)) return kNoJob;
  order.pop_front();
  return next.job;
}

}  // namespace shardlab
