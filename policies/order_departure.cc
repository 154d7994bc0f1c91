#include "policies/order_departure.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "policies/order_rows.h"
#include "policies/replay.h"

namespace shardlab {
namespace {

struct Late {
  std::size_t row = 0, place = 0;
  Instant at{};
};

std::string exactly(Duration time) { return fmt::format("{:.9f} s", seconds(time)); }

/// Claims that came after their times, in the order of the plan.
std::vector<Late> late_claims(const Plan& plan, std::size_t devices, const Timeline& timeline) {
  std::vector<std::vector<Instant>> claimed(devices);
  for (const OrderedUnit& claim : order_of(timeline)) {
    claimed[index(claim.device)].push_back(claim.claim);
  }
  std::vector<std::size_t> next(devices), place(devices);
  std::vector<Late> late;
  for (std::size_t row = 0; row < plan.order.size(); ++row) {
    const OrderedUnit& claim = plan.order[row];
    const std::size_t d = index(claim.device);
    const std::size_t which = next[d]++;
    const bool came = which < claimed[d].size();  // Else a tuner stopped its job.
    if (claim.claim > Instant{} && came && claimed[d][which] > claim.claim) {
      late.push_back({row, place[d], claimed[d][which]});
    }
    place[d] += claim.given_back ? 0 : 1;
  }
  return late;
}

/// Units that the device of the claim holds at its time.
std::size_t held(const Timeline& timeline, const OrderedUnit& claim) {
  return static_cast<std::size_t>(std::ranges::count_if(timeline.units, [&](const UnitSpan& span) {
    return span.device == claim.device && span.claimed <= claim.claim && claim.claim < span.to;
  }));
}

std::string late_text(const Plan& plan, const Program& program, const Cluster& cluster,
                      const Timeline& timeline) {
  const std::vector<Late> late = late_claims(plan, cluster.devices.size(), timeline);
  if (late.empty()) return "";
  const Late& first = *std::ranges::min_element(
      late, {}, [&](const Late& each) { return std::tuple(plan.order[each.row].claim, each.row); });
  const OrderedUnit& claim = plan.order[first.row];
  std::string text = fmt::format(
      "{} of {} claims come later than it says, the first is {}: at {}, not {}", late.size(),
      plan.order.size(), row_text(program, cluster, claim, first.row, first.place),
      exactly(first.at.time_since_epoch()), exactly(claim.claim.time_since_epoch()));
  const DeviceSpec& device = cluster.devices[index(claim.device)];
  const int slots = device.slots(plan.slots);
  if (held(timeline, claim) >= static_cast<std::size_t>(slots)) {
    const char* whose = device.buffer_slots ? "the device's" : "the plan's";
    text += slots == 1 ? fmt::format(", as {} one slot there is taken till then", whose)
                       : fmt::format(", as {} {} slots there are taken till then", whose, slots);
  }
  return text;
}

}  // namespace

std::string order_departure(const Plan& plan, const Program& program, const Cluster& cluster,
                            const Timeline& timeline, Instant makespan) {
  if (std::ranges::any_of(program.jobs, [](const JobProgram& job) { return job.done > 0; })) {
    return "";  // A run that goes on has only the rest of the order.
  }
  std::string text;
  const Duration now = makespan.time_since_epoch();
  if (plan.makespan > Duration{} && now != plan.makespan) {
    text = fmt::format("its order was made for {}, simulated now it takes {} ({:+.1f} %)",
                       exactly(plan.makespan), exactly(now),
                       100 * (seconds(now) / seconds(plan.makespan) - 1));
  }
  const std::string late = late_text(plan, program, cluster, timeline);
  if (late.empty()) return text;
  return text.empty() ? "of its order " + late : text + "; " + late;
}

}  // namespace shardlab
