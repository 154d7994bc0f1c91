#include <algorithm>
#include <utility>

#include "policies/replay.h"

/// What a run did, as an order that does it again.
namespace shardlab {

std::vector<OrderedUnit> order_of(const Timeline& timeline) {
  std::vector<std::pair<std::int64_t, OrderedUnit>> numbered;
  for (const UnitSpan& span : timeline.units) {
    numbered.push_back(
        {span.claim,
         {span.device, span.job, span.minibatch, span.unit, span.claimed, span.turn, span.ahead,
          /*given_back=*/false, span.kept}});
  }
  for (const GivenBack& each : timeline.given_back) {
    numbered.push_back({each.claim,
                        {each.device, each.job, each.minibatch, each.unit, each.claimed, each.turn,
                         /*ahead=*/true, /*given_back=*/true}});
  }
  // Not by start: a device may start what it claimed later, while earlier claims wait for copies.
  std::ranges::sort(numbered, {}, &std::pair<std::int64_t, OrderedUnit>::first);
  std::vector<OrderedUnit> order;
  order.reserve(numbered.size());
  for (const auto& [number, claim] : numbered) order.push_back(claim);
  return order;
}

Plan replaying(Plan plan, const Timeline& timeline) {
  plan.policy = kReplay;
  plan.order = order_of(timeline);
  plan.evicted = timeline.evicted;
  plan.makespan = timeline.makespan.time_since_epoch();
  plan.places = timeline.placed;
  return plan;
}

}  // namespace shardlab
