#include "sim/costs.h"

#include <algorithm>
#include <vector>

#include "sched/link.h"

namespace shardlab {
namespace {

/// Minibatches of a job below 2^32, units of a minibatch below 2^12, jobs below 2^20.
std::uint64_t unit_key(JobId job, std::uint32_t unit, std::int64_t minibatch) {
  return (static_cast<std::uint64_t>(minibatch) << 32) | (static_cast<std::uint64_t>(unit) << 20) |
         index(job);
}

std::uint64_t copy_key(JobId job, int item, Direction direction) {
  return unit_key(job, static_cast<std::uint32_t>(item), direction == Direction::kDemote ? 1 : 0);
}

/// All minibatches of a unit share its low half.
constexpr std::uint64_t kKind = 0xffffffffu;

template <typename T>
T median(std::vector<T> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Duration EstimatedCosts::lane_copy(const Transfer& transfer) {
  return transfer_time(transfer.bytes,
                       transfer.loaded ? program_.copy_loaded : program_.copy_alone);
}

MeasuredCosts::MeasuredCosts(const Timeline& timeline, const Program& program, Detail detail)
    : estimate_(program), detail_(detail) {
  for (const UnitSpan& span : timeline.units) {
    units_[unit_key(span.job, span.unit, span.minibatch)] = {span.to - span.from, span.recompute};
  }
  for (const CopySpan& span : timeline.copies) {
    const int shards = static_cast<int>(program.jobs.at(index(span.job)).items.size()) / kItemKinds;
    const int item = item_index(span.item, span.shard, shards);
    Copies& copies = copies_[copy_key(span.job, item, span.direction)];
    copies.by_lane.push_back(span.lane_to - span.lane_from);
    copies.by_link.push_back(span.link_to - span.link_from);
  }
  if (detail == Detail::kMedian) take_medians();
}

void MeasuredCosts::take_medians() {
  std::unordered_map<std::uint64_t, std::vector<Duration>> totals, again;
  for (const auto& [key, cost] : units_) {
    totals[key & kKind].push_back(cost.total);
    again[key & kKind].push_back(cost.recompute);
  }
  units_.clear();
  for (auto& [kind, values] : totals) units_[kind] = {median(values), median(again[kind])};
  for (auto& [kind, copies] : copies_) {
    copies.by_lane = {median(copies.by_lane)};
    copies.by_link = {median(copies.by_link)};
  }
}

UnitCost MeasuredCosts::unit(const UnitRun& run) {
  const std::int64_t minibatch = detail_ == Detail::kEach ? run.minibatch : 0;
  const auto found = units_.find(unit_key(run.job, run.unit, minibatch));
  return found != units_.end() ? found->second : estimate_.unit(run);
}

const Duration* MeasuredCosts::next(const Transfer& transfer,
                                    std::vector<Duration> Copies::*times) {
  const auto found = copies_.find(copy_key(transfer.job, transfer.item, transfer.direction));
  if (found == copies_.end()) return nullptr;
  Copies& copies = found->second;
  const std::size_t which = std::min(copies.next, (copies.*times).size() - 1);
  if (detail_ == Detail::kEach) ++copies.next;
  return &(copies.*times)[which];
}

Duration MeasuredCosts::lane_copy(const Transfer& transfer) {
  const Duration* measured = next(transfer, &Copies::by_lane);
  return measured != nullptr ? *measured : estimate_.lane_copy(transfer);
}

Duration MeasuredCosts::engine_copy(const Transfer& transfer, Duration by_link) {
  const Duration* measured = next(transfer, &Copies::by_link);
  return measured != nullptr ? *measured : by_link;
}

}  // namespace shardlab
