#include "study/best_slots.h"

#include <algorithm>
#include <utility>

namespace shardlab {
namespace {

/// Room is a device's own only where copies need it.
bool differ_in_slots_alone(const StudyCell& one, const StudyCell& other) {
  return one.jobs.name == other.jobs.name && one.devices.name == other.devices.name &&
         one.transfer.name == other.transfer.name &&
         (one.transfer.link == LinkKind::kNone || one.memory == other.memory);
}

const CellResult* best_cell(const BestSlots& group, std::size_t policy) {
  return *std::ranges::min_element(group.cells, {}, [policy](const CellResult* cell) {
    return std::pair(cell->policies[policy].gap.mean, cell->cell.slots);
  });
}

void choose(BestSlots& group, std::size_t baseline) {
  std::vector<std::vector<double>> gaps;
  for (std::size_t p = 0; p < group.cells.front()->policies.size(); ++p) {
    const CellResult* cell = best_cell(group, p);
    group.policies.push_back({cell, &cell->policies[p], {}, 0});
    gaps.push_back(all_over(cell->policies[p].makespans, cell->bounds));
  }
  const std::vector<AgainstBest> against = against_best(gaps);
  for (std::size_t p = 0; p < group.policies.size(); ++p) {
    BestSlots::Choice& choice = group.policies[p];
    choice.against = against[p];
    choice.over_baseline = mean_interval(all_over(choice.result->makespans,
                                                  group.policies[baseline].result->makespans))
                               .mean;
  }
}

}  // namespace

std::vector<BestSlots> at_best_slots(const Study& study) {
  std::vector<BestSlots> all;
  for (const CellResult& result : study.cells) {
    const auto same = [&](const BestSlots& group) {
      return differ_in_slots_alone(group.cells.front()->cell, result.cell);
    };
    auto group = std::ranges::find_if(all, same);
    if (group == all.end()) group = all.insert(all.end(), BestSlots{});
    group->cells.push_back(&result);
  }
  for (BestSlots& group : all) choose(group, index_of(study.grid, study.grid.baseline));
  return all;
}

}  // namespace shardlab
