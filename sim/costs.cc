#include "sim/costs.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "core/counter_hash.h"
#include "core/quantile.h"
#include "sched/link.h"

namespace shardlab {
namespace {

/// Of an item of a job, as a timeline names it.
using ItemName = std::tuple<ItemKind, std::int32_t, std::int32_t, std::int32_t>;

std::vector<std::map<ItemName, ItemIndex>> name_items(const Program& program) {
  std::vector<std::map<ItemName, ItemIndex>> items;
  for (const JobProgram& job : program.jobs) {
    auto& names = items.emplace_back();
    for (std::size_t i = 0; i < job.items.size(); ++i) {
      const Item& item = job.items[i];
      names[{item.kind, item.shard, item.microbatch, item.replica}] = static_cast<ItemIndex>(i);
    }
  }
  return items;
}

}  // namespace

EstimatedCosts::EstimatedCosts(const Program& program) : program_(program) {
  for (const JobProgram& job : program.jobs) {
    first_.push_back(static_cast<std::uint32_t>(alone_.size()));
    for (const Unit& unit : job.units) add({unit.alone, unit.loaded});
  }
  const std::size_t units = alone_.size();
  for (const auto& jobs : program.times) {
    for (const auto& job : jobs) std::ranges::for_each(job, [&](auto& times) { add(times); });
  }
  for (const std::uint16_t which : program.class_of) class_begin_.push_back(which * units);
}

void EstimatedCosts::add(const UnitTimes& times) {
  alone_.push_back(times.alone);
  loaded_.push_back(times.loaded);
}

Duration EstimatedCosts::lane_copy(const Transfer& transfer) {
  return transfer_time(transfer.bytes,
                       transfer.loaded ? program_.copy_loaded : program_.copy_alone);
}

std::size_t MeasuredCosts::Key::Hash::operator()(const Key& key) const {
  return counter_hash({index(key.job), key.unit, static_cast<std::uint64_t>(key.which)});
}

MeasuredCosts::MeasuredCosts(const Timeline& timeline, const Program& program, Detail detail)
    : estimate_(program), detail_(detail) {
  for (const UnitSpan& span : timeline.units) {
    units_[{span.job, span.unit, span.minibatch}] = {span.to - span.from, span.recompute};
  }
  const auto items = name_items(program);
  for (const CopySpan& span : timeline.copies) {
    const auto& names = items.at(index(span.job));
    const auto item = names.find({span.item, span.shard, span.microbatch, span.replica});
    if (item == names.end()) continue;
    Copies& copies = copies_[{span.job, item->second, static_cast<int>(span.direction)}];
    copies.by_lane.push_back(span.lane_to - span.lane_from);
    copies.by_link.push_back(span.link_to - span.link_from);
    if (span.step_from > Instant{}) copies.steps.push_back(span.done - span.step_from);
  }
  if (detail == Detail::kMedian) take_medians();
}

void MeasuredCosts::take_medians() {
  std::unordered_map<Key, std::vector<Duration>, Key::Hash> totals, again;
  for (const auto& [key, cost] : units_) {
    const Key kind{key.job, key.unit, 0};
    totals[kind].push_back(cost.total);
    again[kind].push_back(cost.recompute);
  }
  units_.clear();
  for (auto& [kind, values] : totals) units_[kind] = {median(values), median(again[kind])};
  for (auto& [kind, copies] : copies_) {
    copies.by_lane = {median(copies.by_lane)};
    copies.by_link = {median(copies.by_link)};
    if (!copies.steps.empty()) copies.steps = {median(copies.steps)};
  }
}

UnitCost MeasuredCosts::unit(const UnitRun& run) {
  const std::int64_t minibatch = detail_ == Detail::kEach ? run.minibatch : 0;
  const auto found = units_.find({run.job, run.unit, minibatch});
  return found != units_.end() ? found->second : estimate_.unit(run);
}

const Duration* MeasuredCosts::next(const Transfer& transfer,
                                    std::vector<Duration> Copies::*times) {
  const auto found =
      copies_.find({transfer.job, transfer.item, static_cast<int>(transfer.direction)});
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

Duration MeasuredCosts::host_step(const Transfer& transfer) {
  const auto found =
      copies_.find({transfer.job, transfer.item, static_cast<int>(transfer.direction)});
  if (found == copies_.end() || found->second.steps.empty()) return estimate_.host_step(transfer);
  Copies& copies = found->second;
  const std::size_t which = std::min(copies.next_step, copies.steps.size() - 1);
  if (detail_ == Detail::kEach) ++copies.next_step;
  return copies.steps[which];
}

}  // namespace shardlab
